locals {
  kms_key_name = var.kms_key_name

  # Who encrypts what: Google's own accounts, one a service.
  service_agents = {
    artifact_registry = "service-${data.google_project.main.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    cloud_functions   = "service-${data.google_project.main.number}@gcf-admin-robot.iam.gserviceaccount.com"
    cloud_run         = "service-${data.google_project.main.number}@serverless-robot-prod.iam.gserviceaccount.com"
    pubsub            = "service-${data.google_project.main.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
    secret_manager    = "service-${data.google_project.main.number}@gcp-sa-secretmanager.iam.gserviceaccount.com"
    storage           = "service-${data.google_project.main.number}@gs-project-accounts.iam.gserviceaccount.com"
  }
}

# Each service encrypts with the key under its own account.
resource "google_kms_crypto_key_iam_member" "service_agents" {
  for_each = local.kms_key_name == null ? {} : local.service_agents

  crypto_key_id = local.kms_key_name
  member        = "serviceAccount:${each.value}"
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"

  depends_on = [google_project_service.main]
}
