output "config" {
  description = "The function's configuration, for `xcapi --config`: `terraform output -raw config > config.json`. It names secrets and holds none."
  value       = jsonencode(local.configuration)
}

output "dead_letter_subscription_id" {
  description = "Where dead letters wait."
  value       = google_pubsub_subscription.dead_letters.id
}

output "dead_letter_topic_id" {
  description = "Where dead letters are published."
  value       = google_pubsub_topic.dead_letters.id
}

output "function_name" {
  description = "The function's name, which is also its Cloud Run service's."
  value       = google_cloudfunctions2_function.main.name
}

output "function_uri" {
  description = "Where Pub/Sub pushes to. Internal."
  value       = google_cloudfunctions2_function.main.service_config[0].uri
}

output "next_steps" {
  description = "The commands that put the keys in and send a first event: `terraform output -raw next_steps`."
  value       = local.next_steps
}

output "remainder_subscription_id" {
  description = "The subscription that pushes remainders to the function: what had to wait of messages that were settled in part."
  value       = google_pubsub_subscription.remainder.id
}

output "remainder_topic_id" {
  description = "Where remainders are published, and dead letters that are sent again."
  value       = google_pubsub_topic.remainder.id
}

output "secret_ids" {
  description = "The secret of each pixel, by pixel id."
  value       = merge({ for pixel_id, secret in google_secret_manager_secret.keys : pixel_id => secret.id }, local.pixels_with_existing_secret)
}

output "service_accounts" {
  description = "The identities: `run` runs the function, `push` calls it, `build` builds it."
  value       = local.service_accounts
}

output "subscription_id" {
  description = "The subscription that pushes events to the function."
  value       = google_pubsub_subscription.events.id
}

output "topic_id" {
  description = "Where publishers send events."
  value       = local.topic_id
}
