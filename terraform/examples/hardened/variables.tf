variable "kms_key_name" {
  description = "The Cloud KMS key, in the region."
  type        = string
}

variable "notification_channels" {
  description = "Where alerts go."
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
