locals {
  kms_key_name = var.kms_key_name

  # Who encrypts what: Google's own accounts, one a service, as IAM names them.
  service_agents = {
    for service, domain in {
      artifact_registry = "gcp-sa-artifactregistry"
      cloud_functions   = "gcf-admin-robot"
      cloud_run         = "serverless-robot-prod"
      pubsub            = "gcp-sa-pubsub"
      secret_manager    = "gcp-sa-secretmanager"
      storage           = "gs-project-accounts"
    } : service => "serviceAccount:service-${data.google_project.main.number}@${domain}.iam.gserviceaccount.com"
  }
}

# Each service encrypts with the key under its own account.
resource "google_kms_crypto_key_iam_member" "service_agents" {
  for_each = local.kms_key_name == null ? {} : local.service_agents

  crypto_key_id = local.kms_key_name
  member        = each.value
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"

  depends_on = [google_project_service.main]
}
