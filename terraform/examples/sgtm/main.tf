# Server-side Tag Manager on Cloud Run that publishes to the topic with its own identity: no key anywhere.
resource "google_service_account" "container" {
  project      = var.project_id
  account_id   = "sgtm-container"
  display_name = "Server-side Tag Manager"
}

locals {
  image = "gcr.io/cloud-tagging-10302018/gtm-cloud-image:stable"
  services = {
    # Shows what arrives in Tag Manager's preview; one instance, as Google asks for.
    preview = { environment = { RUN_AS_PREVIEW_SERVER = "true" }, max_instances = 1, min_instances = 0 }
    tagging = { environment = {}, max_instances = var.max_instances, min_instances = 1 }
  }
}

resource "google_cloud_run_v2_service" "sgtm" {
  for_each = local.services

  project  = var.project_id
  name     = "sgtm-${each.key}"
  location = var.region
  # Browsers talk to it, by the address of your own domain.
  ingress             = "INGRESS_TRAFFIC_ALL"
  deletion_protection = false

  template {
    service_account = google_service_account.container.email

    scaling {
      max_instance_count = each.value.max_instances
      min_instance_count = each.value.min_instances
    }

    containers {
      image = local.image

      dynamic "env" {
        for_each = merge({ CONTAINER_CONFIG = var.container_config, GOOGLE_CLOUD_PROJECT = var.project_id }, each.value.environment)
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = each.key == "tagging" ? { PREVIEW_SERVER_URL = var.preview_server_url } : {}
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }
}

resource "google_cloud_run_v2_service_iam_member" "everybody" {
  for_each = local.services

  project  = var.project_id
  location = var.region
  name     = google_cloud_run_v2_service.sgtm[each.key].name
  role     = "roles/run.invoker"
  member   = "allUsers"

  lifecycle {
    replace_triggered_by = [google_cloud_run_v2_service.sgtm[each.key].id]
  }
}

module "x_conversions" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21", sign_up = "tw-o8z6j-o8z22" } } }
  publishers = ["serviceAccount:sgtm-container@${var.project_id}.iam.gserviceaccount.com"]

  depends_on = [google_service_account.container]
}

output "next_steps" {
  description = "The commands that put the keys in and send a first event."
  value       = module.x_conversions.next_steps
}

output "preview_url" {
  description = "The preview server's address: the next apply's preview_server_url."
  value       = google_cloud_run_v2_service.sgtm["preview"].uri
}

output "tagging_url" {
  description = "The tagging server's address, for the container's settings and your domain."
  value       = google_cloud_run_v2_service.sgtm["tagging"].uri
}

output "topic" {
  description = "What the tag asks for."
  value       = module.x_conversions.topic_id
}
