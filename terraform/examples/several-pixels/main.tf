# Two pixels of two ad accounts, each with keys of its own. Events say which is theirs with a pixel_id, in themselves or in
# the message's attributes; those that do not go to the default.
module "x_conversions" {
  source = "../.."

  project_id = var.project_id
  region     = "europe-west1"

  pixels = {
    o8z6j = {
      event_ids = {
        purchase = "tw-o8z6j-o8z21"
        sign_up  = "tw-o8z6j-o8z22"
      }
    }
    p9q7k = {
      event_ids          = { lead = "tw-p9q7k-p9q31" }
      conversion_id_from = ["lead_id"]
      consent_categories = ["advertising"]
    }
  }

  settings = {
    consent              = "require"
    default_currency     = "EUR"
    default_phone_region = "NL"
    default_pixel        = "o8z6j"
  }
}

output "secret_ids" {
  description = "The secret of each pixel."
  value       = module.x_conversions.secret_ids
}
