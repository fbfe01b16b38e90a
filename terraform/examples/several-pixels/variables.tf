variable "project_id" {
  description = "The Google Cloud project."
  type        = string
}
