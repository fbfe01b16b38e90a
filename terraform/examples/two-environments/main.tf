# Staging and production beside each other, from one module: names, topics, secrets and alerts are apart. Staging has a
# topic of its own and discards what is published there (dry_run): its log shows what X would have got.
module "staging" {
  source = "../.."

  project_id = var.project_id
  region     = var.region
  name       = "x-conversions-staging"
  pixels     = local.pixels
  labels     = { environment = "staging", product = "x-conversions" }

  # That conversions are discarded is the point here.
  alerts              = { dry_run = { enabled = false }, nothing_delivered = { enabled = false }, silence = { enabled = false } }
  deletion_protection = false
  settings            = { dry_run = true }
}

module "production" {
  source = "../.."

  project_id            = var.project_id
  region                = var.region
  name                  = "x-conversions"
  pixels                = local.pixels
  labels                = { environment = "production", product = "x-conversions" }
  notification_channels = var.notification_channels
}

locals {
  pixels = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21", sign_up = "tw-o8z6j-o8z22" } } }
}

# One budget for both: what a loop of errors costs is seen on the day, not on the bill.
resource "google_billing_budget" "both" {
  count = var.billing_account == null ? 0 : 1

  billing_account = var.billing_account
  display_name    = "x-conversions"

  budget_filter {
    projects = ["projects/${data.google_project.main.number}"]
    # What both have; the module's own label, `application`, is the name of each.
    labels = { product = "x-conversions" }
  }

  amount {
    specified_amount {
      units = tostring(var.budget)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }
}

data "google_project" "main" {
  project_id = var.project_id
}

output "configs" {
  description = "Each environment's configuration, for `xcapi --config`."
  value       = { production = module.production.config, staging = module.staging.config }
}

output "topics" {
  description = "Where publishers of each environment publish."
  value       = { production = module.production.topic_id, staging = module.staging.topic_id }
}
