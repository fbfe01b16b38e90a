mock_provider "google" {
  source = "../../tests/mocks"
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
    condition     = strcontains(output.next_steps, "gcloud pubsub topics publish x-conversions --project=test-project")
    error_message = "next_steps must say how a first event is sent"
  }
}
