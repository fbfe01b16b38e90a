locals {
  secrets_by_id = merge(
    { for secret in distinct(values(local.pixels_with_existing_secret)) : secret => secret },
    { for pixel_id, secret in local.pixels_with_own_secret : secret => google_secret_manager_secret.keys[pixel_id].id },
  )
}

# Where a pixel's keys go. Only the container: the keys are put in by hand (see next_steps), and never in the state.
resource "google_secret_manager_secret" "keys" {
  for_each = local.pixels_with_own_secret

  project             = var.project_id
  secret_id           = "${var.name}-${each.key}"
  labels              = local.labels
  deletion_protection = var.deletion_protection

  # In the region from the start: replication cannot be changed later, and a key of KMS has to be of the same place.
  replication {
    user_managed {
      replicas {
        location = var.region

        dynamic "customer_managed_encryption" {
          for_each = local.kms_key_name[*]

          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_kms_crypto_key_iam_member.agents, google_project_service.main]
}
