variable "billing_account" {
  description = "The billing account, for a budget; none without it."
  type        = string
  default     = null
}

variable "budget" {
  description = "What production may cost a month, in the billing account's currency."
  type        = number
  default     = 50
}

variable "notification_channels" {
  description = "Where production's alerts go."
  type        = list(string)
  default     = []
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where everything is kept."
  type        = string
  default     = "europe-west1"
}
