variable "keys_project_id" {
  description = "The project of the team that keeps the agency's keys."
  type        = string
  default     = "example-keys"
}

variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}
