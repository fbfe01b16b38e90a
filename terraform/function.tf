# The function. One Pub/Sub delivery in, one status out; hundreds of deliveries share an instance and its requests to X.
resource "google_cloudfunctions2_function" "main" {
  project      = var.project_id
  location     = var.region
  name         = var.name
  description  = "Sends conversions from Pub/Sub to the X Ads Conversions API"
  kms_key_name = local.kms_key_name
  labels       = var.labels

  build_config {
    runtime           = var.function.runtime
    entry_point       = "send_conversions"
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = google_service_account.build.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    available_cpu                    = tostring(var.function.cpu)
    available_memory                 = var.function.memory
    all_traffic_on_latest_revision   = true
    ingress_settings                 = "ALLOW_INTERNAL_ONLY" # Pub/Sub counts as internal; nobody else has business here
    max_instance_count               = var.function.max_instances
    max_instance_request_concurrency = var.function.concurrency
    min_instance_count               = var.function.min_instances
    service_account_email            = google_service_account.run.email
    timeout_seconds                  = var.delivery.ack_deadline_s # whoever asks has given up by then

    environment_variables = {
      # The platform's own "true" redirects standard output for the whole process: unsafe with concurrent requests.
      LOG_EXECUTION_ID = "false"
      # One process: it holds the ledger, the batches and the rate budget.
      WORKERS      = "1"
      XCAPI_CONFIG = jsonencode(local.configuration)
    }
  }

  lifecycle {
    precondition {
      condition     = length(jsonencode(local.configuration)) <= 32768
      error_message = "pixels and settings must make an XCAPI_CONFIG of at most 32768 characters, the longest environment variable that Cloud Run accepts: split the pixels between two modules."
    }
  }

  # The build must be allowed to, and the keys and the dead-letter topic must be in reach, before a revision starts.
  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_kms_crypto_key_iam_member.service_agents,
    google_project_iam_member.build,
    google_pubsub_topic_iam_member.run,
    google_secret_manager_secret_iam_member.run,
    google_storage_bucket_iam_member.build,
  ]
}
