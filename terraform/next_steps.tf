locals {
  first_pixel   = coalesce(var.settings.default_pixel, keys(var.pixels)[0])
  first_wanted  = keys(var.pixels[local.first_pixel].event_ids)
  first_name    = try(contains(local.first_wanted, "purchase") ? "purchase" : local.first_wanted[0], "purchase")
  first_event   = jsonencode({ conversion_id = "first-event", email = "you@your-company.example", event = local.first_name, pixel_id = local.first_pixel })
  logs_filter   = "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${var.name}\""
  secret_owners = { for pixel_id, secret in local.secret_ids : secret => pixel_id... }

  next_steps = <<-EOT
    # 1. Put the keys in. keys.json holds {"consumer_key": "…", "consumer_secret": "…", "access_token": "…",
    #    "access_token_secret": "…"} of an X app with Ads API access, or {"pixel_token": "…"} from Events Manager.
    ${join("\n", [for secret, pixel_ids in local.secret_owners : "gcloud secrets versions add ${split("/", secret)[3]} --project=${split("/", secret)[1]} --data-file=keys.json # ${join(", ", pixel_ids)}"])}
    rm keys.json

    # 2. Send a first event.
    gcloud pubsub topics publish ${var.name} --project=${var.project_id} --message='${replace(local.first_event, "'", "'\\''")}'

    # 3. See what became of it: batch.delivered, or the reason why not.
    gcloud logging read '${local.logs_filter} jsonPayload.event:*' --project=${var.project_id} --limit=10 --format='value(timestamp, jsonPayload.message)'
    gcloud pubsub subscriptions pull ${var.name}-dead-letter --project=${var.project_id} --limit=10 --format='table(message.attributes.xcapi_reason, message.attributes.xcapi_error_message)'
  EOT
}
