locals {
  first_pixel = coalesce(var.settings.default_pixel, keys(var.pixels)[0])
  # A tag that X does not know until it is replaced: the first event must not count as somebody's purchase.
  first_event = replace(
    jsonencode({ conversion_id = "first-event", email = "you@your-company.example", event_id = "TAG", pixel_id = local.first_pixel }),
    "\"TAG\"", "\"'\"$TAG\"'\"",
  )
  logs_filter = "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${var.name}\""

  put_keys = concat(
    flatten([
      for pixel_id, secret in local.pixels_with_own_secret : [
        "# Pixel ${pixel_id}",
        "gcloud secrets versions add ${split("/", secret)[3]} --project=${var.project_id} --data-file=keys-${pixel_id}.json && rm keys-${pixel_id}.json",
      ]
    ]),
    [for pixel_id, secret in local.pixels_with_existing_secret : "# Pixel ${pixel_id}: ${secret} was there before. If it holds the keys, there is nothing to do."],
  )

  # Pasted into a shell as it is, so comments stand on lines of their own, in words that no shell takes for anything else.
  next_steps = <<-EOT
    # 1. Put the keys in. For each pixel a file keys-PIXEL.json, with one JSON object in it: consumer_key, consumer_secret,
    # access_token and access_token_secret of an app with Ads API access, or pixel_token from Events Manager.
    ${join("\n", local.put_keys)}

    # 2. Send a first event. X has no test mode, and what it accepts counts. Make a tag for tests in Events Manager,
    # and put it here. Left as it is, X refuses it, and the event ends as a dead letter, which shows the way as well.
    TAG=tw-${local.first_pixel}-test
    gcloud pubsub topics publish ${local.topic_argument} --message='${local.first_event}'

    # 3. See what became of it: batch.delivered, or the reason why not.
    gcloud logging read '${local.logs_filter} jsonPayload.event:*' --project=${var.project_id} --limit=10 --format='value(timestamp, jsonPayload.message)'
    gcloud pubsub subscriptions pull ${var.name}-dead-letter --project=${var.project_id} --limit=10 --format='table(message.attributes.xcapi_reason, message.attributes.xcapi_error_message)'
  EOT

  topic_argument = "${split("/", local.topic_name)[3]} --project=${split("/", local.topic_name)[1]}"
}
