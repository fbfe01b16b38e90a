# Where publishers send events.
resource "google_pubsub_topic" "events" {
  project         = var.project_id
  name            = var.name
  kms_key_name    = local.kms_key_name
  labels          = var.labels
  deletion_policy = local.deletion_policy

  # Events of one region's customers stay there, wherever they are published from.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.service_agents, google_project_service.main]
}

# What cannot be delivered: the function's own letters, with the reason, and what Pub/Sub gave up.
resource "google_pubsub_topic" "dead_letters" {
  project         = var.project_id
  name            = "${var.name}-dead-letter"
  kms_key_name    = local.kms_key_name
  labels          = var.labels
  deletion_policy = local.deletion_policy

  message_storage_policy {
    allowed_persistence_regions = [var.region]
  }

  depends_on = [google_kms_crypto_key_iam_member.service_agents, google_project_service.main]
}
