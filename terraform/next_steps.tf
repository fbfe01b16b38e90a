locals {
  first_pixel  = coalesce(var.settings.default_pixel, keys(var.pixels)[0])
  first_wanted = keys(var.pixels[local.first_pixel].event_ids)
  first_name   = try(contains(local.first_wanted, "purchase") ? "purchase" : local.first_wanted[0], "purchase")
  first_event = jsonencode(merge(
    { conversion_id = "first-event", email = "you@your-company.example", pixel_id = local.first_pixel },
    # Where events bring X's own tag there is no name to send.
    length(local.first_wanted) > 0 ? tomap({ event = local.first_name }) : tomap({ event_id = "tw-${local.first_pixel}-TAG" }),
  ))
  logs_filter = "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${var.name}\""
  put_keys = concat(
    [for pixel_id, secret in local.pixels_with_own_secret : "gcloud secrets versions add ${split("/", secret)[3]} --project=${var.project_id} --data-file=keys.json # ${pixel_id}"],
    [for pixel_id, secret in local.pixels_with_existing_secret : "# ${pixel_id}: ${secret} was there before; if it holds the keys, there is nothing to do"],
  )

  next_steps = <<-EOT
    # 1. Put the keys in. keys.json holds {"consumer_key": "…", "consumer_secret": "…", "access_token": "…",
    #    "access_token_secret": "…"} of an X app with Ads API access, or {"pixel_token": "…"} from Events Manager.
    ${join("\n", local.put_keys)}
    rm keys.json

    # 2. Send a first event.
    gcloud pubsub topics publish ${var.name} --project=${var.project_id} --message='${replace(local.first_event, "'", "'\\''")}'

    # 3. See what became of it: batch.delivered, or the reason why not.
    gcloud logging read '${local.logs_filter} jsonPayload.event:*' --project=${var.project_id} --limit=10 --format='value(timestamp, jsonPayload.message)'
    gcloud pubsub subscriptions pull ${var.name}-dead-letter --project=${var.project_id} --limit=10 --format='table(message.attributes.xcapi_reason, message.attributes.xcapi_error_message)'
  EOT
}
