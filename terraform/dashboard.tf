locals {
  # One row each: title, kind, width of 48 columns, and one query a line (legend → PromQL). Rows are 12 high, numbers 8.
  numbers = [
    ["Delivered in the last hour", "sum(increase(${local.log_metric_prefix}delivered_sum{${local.of_the_function}}[1h]))"],
    ["Dead letters waiting", "max(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.dead_letters_subscription}})"],
    ["Events waiting", "max(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.pushing_subscriptions}})"],
    ["Oldest event, seconds", "max(pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.pushing_subscriptions}})"],
  ]

  charts = [
    {
      title = "Delivered"
      plots = { delivered = "sum(increase(${local.log_metric_prefix}delivered_sum{${local.of_the_function}}[$${__interval}]))" }
      stack = true
    },
    {
      title = "Dead-lettered, by reason"
      plots = merge(
        { for reason in local.dead_letter_reasons : reason => "sum(increase(${local.log_metric_prefix}${reason}_sum{${local.of_the_function}}[$${__interval}]))" },
        { exhausted = "sum(increase(pubsub_googleapis_com:subscription_dead_letter_message_count{${local.pushing_subscriptions}}[$${__interval}]))" },
      )
      stack = true
    },
    {
      title = "Deferred deliveries, by cause"
      plots = { "$${labels.cause}" = "sum by (cause) (increase(${local.log_metric_prefix}deferred{${local.of_the_function}}[$${__interval}]))" }
      stack = true
    },
    {
      title = "X's answers, ms: half, 95 and 99 of 100 are faster"
      plots = { for quantile in ["0.5", "0.95", "0.99"] : quantile => "histogram_quantile(${quantile}, sum by (le) (rate(${local.log_metric_prefix}x_latency_bucket{${local.of_the_function}}[$${__interval}])))" }
      stack = false
    },
    {
      title = "Backlog"
      plots = { waiting = "max(pubsub_googleapis_com:subscription_num_undelivered_messages{${local.pushing_subscriptions}})" }
      stack = false
    },
    {
      title = "Rate budget used in its window, by pixel; 1 is all of it"
      plots = { "$${labels.pixel_id}" = "sum by (pixel_id) (increase(${local.log_metric_prefix}conversions_sent_sum{${local.of_the_function}}[${ceil(var.settings.rate.window_s)}s])) / ${var.settings.rate.events}" }
      stack = false
    },
    {
      title = "Pushes, by Pub/Sub's verdict"
      plots = { "$${labels.response_class}" = "sum by (response_class) (increase(pubsub_googleapis_com:subscription_push_request_count{${local.pushing_subscriptions}}[$${__interval}]))" }
      stack = true
    },
    {
      title = "Instances, and memory of the fullest (share)"
      plots = {
        instances = "sum(run_googleapis_com:container_instance_count{${local.of_the_function}})"
        memory    = "max(histogram_quantile(0.99, sum by (le) (rate(run_googleapis_com:container_memory_utilizations_bucket{${local.of_the_function}}[$${__interval}]))))"
      }
      stack = false
    },
  ]

  # As the API gives it back, which leaves out a position of 0.
  tiles = [for tile in local.placed_tiles : { for name, value in tile : name => value if value != 0 }]

  placed_tiles = concat(
    [
      for index, number in local.numbers : {
        xPos   = index * 12
        yPos   = 0
        width  = 12
        height = 8
        widget = {
          title = number[0]
          scorecard = {
            sparkChartView  = { sparkChartType = "SPARK_LINE" }
            timeSeriesQuery = { prometheusQuery = number[1] }
          }
        }
      }
    ],
    [
      for index, chart in local.charts : {
        xPos   = index % 2 * 24
        yPos   = 8 + floor(index / 2) * 12
        width  = 24
        height = 12
        widget = {
          title = chart.title
          xyChart = {
            dataSets = [
              for legend, query in chart.plots : {
                legendTemplate  = legend
                plotType        = chart.stack ? "STACKED_BAR" : "LINE"
                targetAxis      = "Y1"
                timeSeriesQuery = { prometheusQuery = query }
              }
            ]
            yAxis = { scale = "LINEAR" }
          }
        }
      }
    ],
    [
      {
        xPos   = 0
        yPos   = 8 + ceil(length(local.charts) / 2) * 12
        width  = 48
        height = 16
        widget = {
          title = "Warnings and errors"
          logsPanel = {
            filter        = "${local.function_logs} severity>=WARNING"
            resourceNames = ["projects/${var.project_id}"]
          }
        }
      }
    ],
  )
}

# What an operator looks at first: where events end, what waits and why, how X answers, how much of its budget is used.
resource "google_monitoring_dashboard" "main" {
  project = var.project_id
  dashboard_json = jsonencode({
    displayName  = "${var.name}: conversions to X"
    mosaicLayout = { columns = 48, tiles = local.tiles }
  })

  depends_on = [google_logging_metric.main]
}
