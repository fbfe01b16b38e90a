# Keys that another team keeps, one of them in its own project and shared by two pixels; and who may publish.
module "x_conversions" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"

  pixels = {
    o8z6j = {
      event_ids = { purchase = "tw-o8z6j-o8z21" }
      secret    = "x-ads-keys"
    }
    p9q7k = {
      event_ids = { purchase = "tw-p9q7k-p9q31" }
      secret    = "projects/${var.keys_project_id}/secrets/x-ads-agency"
    }
    q1w2e = {
      event_ids = { lead = "tw-q1w2e-q1w21" }
      secret    = "projects/${var.keys_project_id}/secrets/x-ads-agency"
    }
  }

  publishers = [
    "group:data-platform@example.com",
    "serviceAccount:shop@${var.project_id}.iam.gserviceaccount.com",
  ]
}

output "topic_id" {
  description = "Where the publishers publish."
  value       = module.x_conversions.topic_id
}
