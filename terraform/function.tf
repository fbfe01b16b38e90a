locals {
  environment = {
    # The platform's own "true" redirects standard output for the whole process: unsafe with concurrent requests.
    LOG_EXECUTION_ID = "false"
    # One process: it holds the ledger, the batches and the rate budget.
    WORKERS      = "1"
    XCAPI_CONFIG = jsonencode(local.configuration)
  }
  # length() counts characters: of four in base64, three bytes, less one for each "=".
  environment_base64 = base64encode(join("", concat(keys(local.environment), values(local.environment))))
  environment_bytes  = length(local.environment_base64) / 4 * 3 - length(regexall("=", local.environment_base64))

  egress = coalesce(var.network.egress, "PRIVATE_RANGES_ONLY")
}

# The function. One Pub/Sub delivery in, one status out; hundreds of deliveries share an instance and its requests to X.
resource "google_cloudfunctions2_function" "main" {
  project      = var.project_id
  location     = var.region
  name         = var.name
  description  = "Sends conversions from Pub/Sub to the X Ads Conversions API"
  kms_key_name = local.kms_key_name
  labels       = merge({ version = substr(replace(lower(local.version), "/[^a-z0-9_-]/", "-"), 0, 63) }, local.labels)

  build_config {
    runtime           = var.function.runtime
    entry_point       = "send_conversions"
    docker_repository = local.artifact_repository_id
    service_account   = "projects/${try(regex("@([^.]+)[.]iam[.]", local.service_accounts.build)[0], var.project_id)}/serviceAccounts/${local.service_accounts.build}"
    worker_pool       = var.build.worker_pool

    source {
      storage_source {
        bucket = local.source_bucket
        object = local.source_object
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
    service_account_email            = local.service_accounts.run
    timeout_seconds                  = var.delivery.ack_deadline_s # whoever asks has given up by then
    environment_variables            = local.environment
    binary_authorization_policy      = var.build.binary_authorization
    vpc_connector                    = var.network.vpc_connector
    vpc_connector_egress_settings    = var.network.vpc_connector == null ? null : local.egress
    direct_vpc_egress                = var.network.direct_vpc == null ? null : "VPC_EGRESS_${local.egress}"

    dynamic "direct_vpc_network_interface" {
      for_each = var.network.direct_vpc[*]

      content {
        network    = direct_vpc_network_interface.value.network
        subnetwork = direct_vpc_network_interface.value.subnetwork
        tags       = direct_vpc_network_interface.value.tags
      }
    }
  }

  lifecycle {
    precondition {
      condition     = local.environment_bytes <= 32768
      error_message = "pixels and settings must make environment variables of at most 32768 bytes, names included, the most that Cloud Functions accepts: split the pixels between two modules."
    }
  }

  # The build must be allowed to, and keys and topics must be in reach, before a revision starts.
  depends_on = [
    google_artifact_registry_repository_iam_member.build,
    google_kms_crypto_key_iam_member.agents,
    google_project_iam_member.build,
    google_pubsub_topic_iam_member.run,
    google_pubsub_topic_iam_member.run_remainder,
    google_secret_manager_secret_iam_member.run,
    google_storage_bucket_iam_member.build,
  ]
}
