locals {
  topic_id = var.existing.topic != null ? var.existing.topic : google_pubsub_topic.events[0].id
}

# Where publishers send events, unless they have a topic already.
resource "google_pubsub_topic" "events" {
  count = var.existing.topic == null ? 1 : 0

  project         = var.project_id
  name            = var.name
  kms_key_name    = local.kms_key_name
  labels          = local.labels
  deletion_policy = local.deletion_policy

  # Events of one region's customers stay there, wherever they are published from.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.main]
}

# What cannot be delivered: the function's own dead letters, with the reason, and what Pub/Sub gave up.
resource "google_pubsub_topic" "dead_letters" {
  project         = var.project_id
  name            = "${var.name}-dead-letter"
  kms_key_name    = local.kms_key_name
  labels          = local.labels
  deletion_policy = local.deletion_policy

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.main]
}

# What must wait of messages that are settled in part. Not the events' topic: its other subscribers would see events twice.
resource "google_pubsub_topic" "remainder" {
  project         = var.project_id
  name            = "${var.name}-remainder"
  kms_key_name    = local.kms_key_name
  labels          = local.labels
  deletion_policy = local.deletion_policy

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.main]
}
