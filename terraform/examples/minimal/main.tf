# One pixel, and defaults for everything else.
module "x_conversions" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"
  pixels     = { o8z6j = { event_ids = { purchase = "tw-o8z6j-o8z21" } } }
}

output "next_steps" {
  description = "The commands that put the keys in and send a first event."
  value       = module.x_conversions.next_steps
}
