# Everything encrypted with a key of one's own, an instance always warm, alerts to a channel, and ingress as it always is:
# internal only, which works inside a VPC Service Controls perimeter, since Pub/Sub pushes to the run.app address from
# within. Keep the project in a perimeter with pubsub, run, secretmanager, storage and artifactregistry restricted; X is
# reached over the internet, so an egress policy must not stand in its way.
module "x_conversions" {
  source = "../.."

  project_id   = var.project_id
  region       = var.region
  kms_key_name = var.kms_key_name
  pixels       = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }

  delivery = {
    retention_days = 31
  }

  function = {
    max_instances = 2
    memory        = "2Gi"
    min_instances = 1
  }

  labels = {
    data-class = "personal"
    team       = "marketing"
  }

  notification_channels = var.notification_channels

  settings = {
    on_unauthorized = "requeue"
  }
}

output "service_accounts" {
  description = "The identities, for perimeters and audits."
  value       = module.x_conversions.service_accounts
}
