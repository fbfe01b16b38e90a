locals {
  kms_key_name = var.kms_key_name

  # What is in use, and what something may still be encrypted with: no key is dropped in the apply that brings another.
  kms_key_names = distinct(compact(concat([var.kms_key_name], var.previous_kms_key_names)))

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

locals {
  # An image repository and a bucket of yours are encrypted as you decided.
  encrypting_agents = [
    for service, _ in local.service_agents : service
    if !(service == "artifact_registry" && var.existing.artifact_repository != null) && !(service == "storage" && local.archive_in_a_bucket)
  ]
  agents_by_key = { for pair in setproduct(local.encrypting_agents, local.kms_key_names) : join(" ", pair) => { agent = pair[0], key = pair[1] } }
}

# Each service encrypts and decrypts under its own account, with each key that may be needed.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each = local.agents_by_key

  crypto_key_id = each.value.key
  member        = local.service_agents[each.value.agent]
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"

  depends_on = [google_project_service.main]
}

# Until 0.1 the same grants had other addresses. Forgotten, not destroyed: they are the ones above.
removed {
  from = google_kms_crypto_key_iam_member.service_agents

  lifecycle {
    destroy = false
  }
}
