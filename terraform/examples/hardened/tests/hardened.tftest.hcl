mock_provider "google" {
  source = "../../tests/mocks"
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

