mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project_id = "test-project"
}

run "lines_of_files_are_the_events_topic" {
  command = apply

  assert {
    condition     = google_pubsub_topic.files.ingestion_data_source_settings[0].cloud_storage[0].bucket == google_storage_bucket.files.name
    error_message = "the topic must take in the bucket's files"
  }
  assert {
    condition     = module.x_conversions.topic_id == "projects/test-project/topics/x-conversions-files"
    error_message = "the function's topic must be the import topic"
  }
  assert {
    condition     = length(google_storage_bucket_iam_member.import) == 2
    error_message = "Pub/Sub's agent needs both roles on the bucket"
  }
}
