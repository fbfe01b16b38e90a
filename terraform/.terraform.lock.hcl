# This file is maintained automatically by "terraform init".
# Manual edits may be lost in future updates.

provider "registry.terraform.io/hashicorp/archive" {
  version     = "2.8.0"
  constraints = ">= 2.4.0, < 3.0.0"
  hashes = [
    "h1:kScuf5KtiH3YeJmXQL1USkJ80Jeuoe1spmvTfGIF1bQ=",
  ]
}

provider "registry.terraform.io/hashicorp/google" {
  version     = "8.0.0"
  constraints = ">= 8.0.0, < 9.0.0"
  hashes = [
    "h1:ZlMF+yH6LeB8lVb7joftznyJD9OmyZEmQ9q+q3k65eQ=",
  ]
}
