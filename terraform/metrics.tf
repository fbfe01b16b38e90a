locals {
  function_logs = "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${var.name}\""
  # Both lines name how many events of a delivery ended how; what was nacked may have been delivered in part.
  delivery_ended = "jsonPayload.event=(\"delivery.settled\" OR \"delivery.deferred\")"

  # Ends of an event → the count's name in the function's log (docs/operations.md, "Log events").
  dead_letter_reasons = ["expired", "invalid_event", "invalid_message", "rejected", "unauthorized", "unconfirmed"]

  log_metrics = merge(
    {
      for end in concat(["delivered"], local.dead_letter_reasons) : end => {
        description = "Events that ended as \"${end}\""
        filter      = "${local.delivery_ended} jsonPayload.${end}>0"
        value       = "jsonPayload.${end}"
        unit        = "1"
        labels      = []
      }
    },
    {
      conversions_sent = {
        description = "Conversions in requests that X answered: what counts against its budget"
        filter      = "jsonPayload.event=(\"batch.delivered\" OR \"batch.refused\" OR \"batch.unconfirmed\") jsonPayload.conversions>0"
        value       = "jsonPayload.conversions"
        unit        = "1"
        labels      = ["pixel_id"]
      }
      configuration_invalid = {
        description = "Problems in the configuration that stopped a start"
        filter      = "jsonPayload.event=\"configuration.invalid\""
        value       = null
        unit        = "1"
        labels      = []
      }
      crashes = {
        description = "Bugs: what crashed in the function, whatever the delivery's status became"
        filter      = "jsonPayload.event=~\"[.]crashed$\""
        value       = null
        unit        = "1"
        labels      = ["event"]
      }
      dead_letters_published = {
        description = "Dead letters that the function published"
        filter      = "jsonPayload.event=\"dead_letters.published\""
        value       = "jsonPayload.messages"
        unit        = "1"
        labels      = []
      }
      deferred = {
        description = "Deliveries that were nacked, by cause"
        filter      = "jsonPayload.event=\"delivery.deferred\""
        value       = null
        unit        = "1"
        labels      = ["cause"]
      }
      dry_run = {
        description = "Lines that warn of dry_run: conversions are acked and discarded"
        filter      = "jsonPayload.event=(\"delivery.settled\" OR \"service.dry_run\") jsonPayload.dry_run:*"
        value       = null
        unit        = "1"
        labels      = []
      }
      instances_killed = {
        description = "Instances that ran out of memory, or ended without being asked to"
        filter      = "log_id(\"run.googleapis.com/varlog/system\") textPayload=~\"Memory limit|signal|exit[(][1-9]\""
        value       = null
        unit        = "1"
        labels      = []
      }
      near_retention = {
        description = "Deliveries with events that will soon have waited for as long as Pub/Sub keeps them"
        filter      = "${local.delivery_ended} jsonPayload.oldest_event_age_s>${local.near_retention_s}"
        value       = null
        unit        = "1"
        labels      = []
      }
      old_events = {
        description = "Deliveries with events that have waited for too long, counted from their first publishing"
        filter      = "${local.delivery_ended} jsonPayload.oldest_event_age_s>${local.thresholds.oldest_event}"
        value       = null
        unit        = "1"
        labels      = []
      }
      refuses_everything = {
        description = "Pixels that pause because X refuses each of their conversions in the same words"
        filter      = "jsonPayload.event=\"pixel.refuses_everything\""
        value       = null
        unit        = "1"
        labels      = ["pixel_id"]
      }
      skipped = {
        description = "Deliveries with events that were skipped on purpose"
        filter      = "${local.delivery_ended} (jsonPayload.skipped_no_consent>0 OR jsonPayload.skipped_no_identifier>0 OR jsonPayload.skipped_unwanted>0)"
        value       = null
        unit        = "1"
        labels      = []
      }
      unreadable_consent = {
        description = "Events whose consent could not be read, and which were skipped for that"
        filter      = "${local.delivery_ended} jsonPayload.unreadable_consent>0"
        value       = "jsonPayload.unreadable_consent"
        unit        = "1"
        labels      = []
      }
      x_latency = {
        description = "How long X took to answer, by what it made of the request"
        filter      = "jsonPayload.event=~\"^batch[.]\" jsonPayload.duration_ms>=0"
        value       = "jsonPayload.duration_ms"
        unit        = "ms"
        labels      = ["event"]
      }
    },
  )

  # As PromQL spells a log-based metric: "x-conversions/delivered" → user_x_conversions_delivered.
  log_metric_prefix = "logging_googleapis_com:user_${replace(var.name, "-", "_")}_"
  of_the_function   = "monitored_resource=\"cloud_run_revision\",service_name=\"${var.name}\""
}

# The function's own stable log events, as numbers: what happens to events is known nowhere else.
resource "google_logging_metric" "main" {
  for_each = local.log_metrics

  project         = var.project_id
  name            = "${var.name}/${each.key}"
  description     = each.value.description
  filter          = "${local.function_logs} ${each.value.filter}"
  value_extractor = each.value.value == null ? null : "EXTRACT(${each.value.value})"
  label_extractors = {
    for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})"
  }

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = each.value.value == null ? "INT64" : "DISTRIBUTION"
    unit        = each.value.unit

    dynamic "labels" {
      for_each = toset(each.value.labels)

      content {
        key        = labels.value
        value_type = "STRING"
      }
    }
  }

  # Doubling from 1 to 65,536: latencies in ms and counts of conversions both fit.
  dynamic "bucket_options" {
    for_each = each.value.value[*]

    content {
      exponential_buckets {
        growth_factor      = 2
        num_finite_buckets = 16
        scale              = 1
      }
    }
  }

  depends_on = [google_project_service.main]
}
