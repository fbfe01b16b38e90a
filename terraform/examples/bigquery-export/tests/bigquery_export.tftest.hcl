mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project_id = "test-project"
}

run "rows_go_from_query_to_bucket_to_topic" {
  command = apply

  assert {
    condition     = strcontains(google_bigquery_data_transfer_config.export.params.query, "'gs://test-project-x-conversions-rows/conversions/%s/*.json'")
    error_message = "the query must write to the bucket"
  }
  assert {
    condition     = strcontains(google_bigquery_data_transfer_config.export.params.query, "FROM `test-project.shop.orders`")
    error_message = "the query must read the table"
  }
  assert {
    condition     = google_pubsub_topic.rows.ingestion_data_source_settings[0].cloud_storage[0].bucket == google_storage_bucket.rows.name
    error_message = "the topic must take in what the query writes"
  }
  assert {
    condition     = module.x_conversions.topic_id == "projects/test-project/topics/x-conversions-rows"
    error_message = "the function's topic must be the import topic"
  }
}
