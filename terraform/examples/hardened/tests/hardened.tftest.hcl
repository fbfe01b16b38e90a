# Computed values are random under a mock; what IAM members, addresses and ids are made of must look like the real thing.
mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
  mock_resource "google_service_account" {
    defaults = {
      email  = "somebody@test-project.iam.gserviceaccount.com"
      id     = "projects/test-project/serviceAccounts/somebody@test-project.iam.gserviceaccount.com"
      member = "serviceAccount:somebody@test-project.iam.gserviceaccount.com"
    }
  }
  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/test-project/topics/some-topic" }
  }
  mock_resource "google_artifact_registry_repository" {
    defaults = { id = "projects/test-project/locations/europe-west1/repositories/x-conversions" }
  }
}
variables {
  project_id            = "test-project"
  kms_key_name          = "projects/test-keys/locations/europe-west1/keyRings/ring/cryptoKeys/key"
  notification_channels = ["projects/test-project/notificationChannels/1"]
}

run "it_applies_with_a_key_in_the_region" {
  command = apply

  assert {
    condition     = length(output.service_accounts) == 3
    error_message = "there must be three identities"
  }
}

