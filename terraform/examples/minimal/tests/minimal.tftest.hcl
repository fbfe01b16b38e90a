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

run "three_variables_are_enough" {
  command = apply

  assert {
    condition     = strcontains(output.next_steps, "gcloud secrets versions add x-conversions-o8z6j --project=test-project")
    error_message = "next_steps must say where the keys go"
  }
  assert {
    condition     = strcontains(output.next_steps, "\"event\":\"purchase\"")
    error_message = "the first event must be one that the pixel wants"
  }
}
