variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}

variable "region" {
  description = "Where everything is kept."
  type        = string
  default     = "europe-west1"
}
