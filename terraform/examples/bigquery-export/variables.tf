variable "dataset" {
  description = "The dataset that the orders are in."
  type        = string
  default     = "shop"
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where everything is kept; the dataset's location."
  type        = string
  default     = "europe-west1"
}

variable "table" {
  description = "The orders: order_id, created_at, email, twclid, total, currency, marketing_consent."
  type        = string
  default     = "orders"
}
