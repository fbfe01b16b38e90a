variable "container_config" {
  description = "The container's configuration text, from Tag Manager: Admin, Container settings, Manually provision tagging server."
  type        = string
}

variable "max_instances" {
  description = "Instances of the tagging server; Google suggests 3 to 10 for live traffic."
  type        = number
  default     = 3
}

variable "preview_server_url" {
  description = "The preview server's address, known after the first apply (output preview_url); empty until then."
  type        = string
  default     = ""
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
