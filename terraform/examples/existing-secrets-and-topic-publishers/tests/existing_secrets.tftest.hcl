mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project_id = "test-project"
}

run "it_applies_without_creating_a_secret" {
  command = apply

  assert {
    condition     = output.topic_id == "projects/test-project/topics/some-topic"
    error_message = "the topic must be named"
  }
}
