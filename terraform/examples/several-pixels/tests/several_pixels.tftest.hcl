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
  project_id = "test-project"
}

run "each_pixel_has_a_secret_of_its_own" {
  command = apply

  assert {
    condition     = sort(keys(output.secret_ids)) == tolist(["o8z6j", "p9q7k"])
    error_message = "both pixels must have a secret"
  }
  assert {
    condition     = length(distinct(values(output.secret_ids))) == 2
    error_message = "the secrets must be two"
  }
}
