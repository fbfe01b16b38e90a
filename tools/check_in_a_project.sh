#!/bin/sh
# What only a real project can show, after `terraform apply` in one: half an hour, most of it waiting. Reads, except for one
# event to the tag in TAG (make one for tests in Events Manager).
#   PROJECT=my-project REGION=europe-west1 NAME=x-conversions TAG=tw-o8z6j-test sh tools/check_in_a_project.sh
set -eu
: "${PROJECT:?}" "${REGION:?}" "${TAG:?}" "${NAME:=x-conversions}"

token=$(gcloud auth print-access-token)
ask() {
  curl --fail --silent --show-error --header "Authorization: Bearer $token" "$@"
}

echo "1. A second plan is empty (run it yourself where the state is: terraform plan -detailed-exitcode)."

echo "2. Each of Google's metrics that the alerts ask for exists:"
for metric in \
  pubsub.googleapis.com/subscription/dead_letter_message_count \
  pubsub.googleapis.com/subscription/num_undelivered_messages \
  pubsub.googleapis.com/subscription/oldest_unacked_message_age \
  pubsub.googleapis.com/subscription/push_request_count \
  run.googleapis.com/container/instance_count \
  run.googleapis.com/container/memory/utilizations \
  run.googleapis.com/request_count; do
  labels=$(ask "https://monitoring.googleapis.com/v3/projects/$PROJECT/metricDescriptors/$metric" |
    python3 -c 'import json, sys; print(*(one["key"] for one in json.load(sys.stdin).get("labels", [])))')
  echo "   $metric: $labels"
done

echo "3. Monitoring accepts each alert's query:"
ask "https://monitoring.googleapis.com/v3/projects/$PROJECT/alertPolicies" |
  python3 -c 'import json, sys
for policy in json.load(sys.stdin).get("alertPolicies", []):
    for condition in policy["conditions"]:
        if "conditionPrometheusQueryLanguage" in condition:
            print(condition["conditionPrometheusQueryLanguage"]["query"])' |
  while IFS= read -r query; do
    ask --data-urlencode "query=$query" "https://monitoring.googleapis.com/v1/projects/$PROJECT/location/global/prometheus/api/v1/query" |
      python3 -c 'import json, sys; print("  ", json.load(sys.stdin)["status"])'
  done

echo "4. An event is pushed with a token, and leaves its line (wait for a minute):"
gcloud pubsub topics publish "$NAME" --project="$PROJECT" \
  --message='{"event_id": "'"$TAG"'", "email": "you@your-company.example", "conversion_id": "check-in-a-project"}'
sleep 60
gcloud logging read "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"$NAME\" jsonPayload.event:*" \
  --project="$PROJECT" --freshness=5m --limit=10 --format='value(timestamp, jsonPayload.message)'

echo "5. Cloud Run refuses whoever is not the push identity (403 or 404 is right):"
url=$(gcloud functions describe "$NAME" --project="$PROJECT" --region="$REGION" --format='value(serviceConfig.uri)')
curl --silent --output /dev/null --write-out '   %{http_code}\n' "$url"
