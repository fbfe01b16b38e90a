locals {
  # Destroying or replacing a subscription drops the events it holds; a topic without it forgets them at once.
  deletion_policy = var.deletion_protection ? "PREVENT" : "DELETE"
}

# Delivers events to the function. Ours, not an Eventarc trigger's: that one keeps 24 hours and has no dead-letter policy.
resource "google_pubsub_subscription" "events" {
  project                    = var.project_id
  name                       = var.name
  topic                      = local.topic_id
  ack_deadline_seconds       = var.delivery.ack_deadline_s
  filter                     = var.delivery.filter
  labels                     = local.labels
  message_retention_duration = "${var.delivery.retention_days * 86400}s"
  deletion_policy            = local.deletion_policy

  # The run.app address: internal ingress lets Pub/Sub in by that one only, and it is what the token is made out to.
  push_config {
    push_endpoint = google_cloudfunctions2_function.main.service_config[0].uri

    oidc_token {
      audience              = google_cloudfunctions2_function.main.service_config[0].uri
      service_account_email = local.service_accounts.push
    }
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.delivery.max_delivery_attempts
  }

  # Without it a nack comes back at once, and an outage of an hour uses up all attempts.
  retry_policy {
    minimum_backoff = "${var.delivery.min_backoff_s}s"
    maximum_backoff = "${var.delivery.max_backoff_s}s"
  }

  # An idle subscription would expire after 31 days, and take its backlog along.
  expiration_policy {
    ttl = ""
  }

  # Before it pushes, the function may be called, and dead letters and remainders have a place.
  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_pubsub_subscription.dead_letters,
    google_pubsub_subscription.remainder,
    google_service_account_iam_member.pubsub,
  ]
}

# Delivers what had to wait, by the same rules, which a test holds equal: two instances of one resource would move everybody's
# state for thirty lines. No filter: what is here was let through already.
resource "google_pubsub_subscription" "remainder" {
  project                    = var.project_id
  name                       = "${var.name}-remainder"
  topic                      = google_pubsub_topic.remainder.id
  ack_deadline_seconds       = var.delivery.ack_deadline_s
  labels                     = local.labels
  message_retention_duration = "${var.delivery.retention_days * 86400}s"
  deletion_policy            = local.deletion_policy

  push_config {
    push_endpoint = google_cloudfunctions2_function.main.service_config[0].uri

    oidc_token {
      audience              = google_cloudfunctions2_function.main.service_config[0].uri
      service_account_email = local.service_accounts.push
    }
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = var.delivery.max_delivery_attempts
  }

  retry_policy {
    minimum_backoff = "${var.delivery.min_backoff_s}s"
    maximum_backoff = "${var.delivery.max_backoff_s}s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_pubsub_subscription.dead_letters,
    google_service_account_iam_member.pubsub,
  ]
}

# A topic keeps nothing by itself: this keeps dead letters until somebody has looked.
resource "google_pubsub_subscription" "dead_letters" {
  project                    = var.project_id
  name                       = "${var.name}-dead-letter"
  topic                      = google_pubsub_topic.dead_letters.id
  ack_deadline_seconds       = 60
  labels                     = local.labels
  message_retention_duration = "${var.dead_letters.retention_days * 86400}s"
  deletion_policy            = local.deletion_policy

  expiration_policy {
    ttl = ""
  }
}
