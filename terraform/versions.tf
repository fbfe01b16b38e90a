terraform {
  # 1.9: a variable's validation may look at other variables.
  required_version = ">= 1.9"

  required_providers {
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4, < 3"
    }
    google = {
      source = "hashicorp/google"
      # 8: deletion_policy on topics and subscriptions.
      version = ">= 8.0, < 9"
    }
  }
}
