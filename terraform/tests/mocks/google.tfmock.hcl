# What the tests here and in examples/ run under, instead of Google's provider.
#
# Computed values are random under a mock; what IAM members, addresses and ids are made of must look like the real thing.
mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "somebody@test-project.iam.gserviceaccount.com"
    id     = "projects/test-project/serviceAccounts/somebody@test-project.iam.gserviceaccount.com"
    member = "serviceAccount:somebody@test-project.iam.gserviceaccount.com"
    name   = "projects/test-project/serviceAccounts/somebody@test-project.iam.gserviceaccount.com"
  }
}

mock_resource "google_pubsub_topic" {
  defaults = { id = "projects/test-project/topics/some-topic" }
}

mock_resource "google_artifact_registry_repository" {
  defaults = { id = "projects/test-project/locations/europe-west1/repositories/x-conversions" }
}
