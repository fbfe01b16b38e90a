___TERMS_OF_SERVICE___

By creating or modifying this file you agree to Google Tag Manager's Community
Template Gallery Developer Terms of Service available at
https://developers.google.com/tag-manager/gallery-tos (or such other URL as
Google may provide), as modified from time to time.


___INFO___

{
  "type": "TAG",
  "id": "cvt_temp_public_id",
  "version": 1,
  "securityGroups": [],
  "displayName": "X conversions over Pub/Sub",
  "categories": ["ADVERTISING", "CONVERSIONS"],
  "brand": {
    "id": "brand_dummy",
    "displayName": ""
  },
  "description": "Publishes the event data of each event to a Google Cloud Pub/Sub topic, from which a function sends it to the X Conversions API.",
  "containerContexts": ["SERVER"]
}


___TEMPLATE_PARAMETERS___

[
  {
    "type": "TEXT",
    "name": "projectId",
    "displayName": "Google Cloud project",
    "simpleValueType": true,
    "valueValidators": [{"type": "NON_EMPTY"}],
    "help": "The id of the project that the topic is in. The container's service account needs the role Pub/Sub Publisher on the topic."
  },
  {
    "type": "TEXT",
    "name": "topic",
    "displayName": "Topic",
    "simpleValueType": true,
    "defaultValue": "x-conversions",
    "valueValidators": [{"type": "NON_EMPTY"}]
  },
  {
    "type": "TEXT",
    "name": "pixelId",
    "displayName": "Pixel",
    "simpleValueType": true,
    "help": "Only where the function has several pixels and these events are not for its default one."
  }
]


___SANDBOXED_JS_FOR_SERVER___

const JSON = require('JSON');
const getAllEventData = require('getAllEventData');
const getCookieValues = require('getCookieValues');
const getGoogleAuth = require('getGoogleAuth');
const sendHttpRequest = require('sendHttpRequest');
const toBase64 = require('toBase64');

const TIMEOUT_MS = 3000;

const event = getAllEventData();
// X's click id is in a cookie of the site, which the event data leaves out.
const clickId = getCookieValues('_twclid')[0];
if (clickId) event._twclid = clickId;

const attributes = {format: 'ga4'};
if (data.pixelId) attributes.pixel_id = data.pixelId;

const url = 'https://pubsub.googleapis.com/v1/projects/' + data.projectId + '/topics/' + data.topic + ':publish';
const options = {
  method: 'POST',
  headers: {'content-type': 'application/json'},
  authorization: getGoogleAuth({scopes: ['https://www.googleapis.com/auth/pubsub']}),
  timeout: TIMEOUT_MS
};
const message = {data: toBase64(JSON.stringify(event)), attributes: attributes};

sendHttpRequest(url, options, JSON.stringify({messages: [message]})).then((answer) => {
  if (answer.statusCode >= 200 && answer.statusCode < 300) {
    data.gtmOnSuccess();
  } else {
    data.gtmOnFailure();
  }
}, data.gtmOnFailure);


___SERVER_PERMISSIONS___

[
  {
    "instance": {
      "key": {"publicId": "read_event_data", "versionId": "1"},
      "param": [{"key": "eventDataAccess", "value": {"type": 1, "string": "any"}}]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "get_cookies", "versionId": "1"},
      "param": [
        {"key": "cookieAccess", "value": {"type": 1, "string": "specific"}},
        {"key": "cookieNames", "value": {"type": 2, "listItem": [{"type": 1, "string": "_twclid"}]}}
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "send_http", "versionId": "1"},
      "param": [
        {"key": "allowedUrls", "value": {"type": 1, "string": "specific"}},
        {
          "key": "urls",
          "value": {"type": 2, "listItem": [{"type": 1, "string": "https://pubsub.googleapis.com/*"}]}
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  },
  {
    "instance": {
      "key": {"publicId": "use_google_credentials", "versionId": "1"},
      "param": [
        {
          "key": "allowedScopes",
          "value": {"type": 2, "listItem": [{"type": 1, "string": "https://www.googleapis.com/auth/pubsub"}]}
        }
      ]
    },
    "clientAnnotations": {"isEditedByUser": true},
    "isRequired": true
  }
]


___TESTS___

scenarios:
- name: Publishes the event data with its format
  code: |-
    runCode(settings);

    assertThat(sent.url).isEqualTo('https://pubsub.googleapis.com/v1/projects/my-project/topics/x-conversions:publish');
    assertThat(sent.options.method).isEqualTo('POST');
    assertThat(published()).isEqualTo({event_name: 'purchase', transaction_id: '10001'});
    assertThat(attributes()).isEqualTo({format: 'ga4'});
    assertApi('gtmOnSuccess').wasCalled();
    assertApi('gtmOnFailure').wasNotCalled();
- name: Takes X's click id from its cookie
  code: |-
    mock('getCookieValues', (name) => name === '_twclid' ? ['click-1', 'click-2'] : []);

    runCode(settings);

    assertThat(published()).isEqualTo({event_name: 'purchase', transaction_id: '10001', _twclid: 'click-1'});
- name: Names the pixel where one is given
  code: |-
    settings.pixelId = 'o8z6j';

    runCode(settings);

    assertThat(attributes()).isEqualTo({format: 'ga4', pixel_id: 'o8z6j'});
- name: Signs in as the container, for Pub/Sub alone
  code: |-
    mock('getGoogleAuth', (asked) => asked.scopes);

    runCode(settings);

    assertThat(sent.options.authorization).isEqualTo(['https://www.googleapis.com/auth/pubsub']);
- name: Fails where Pub/Sub refuses
  code: |-
    answer = {statusCode: 403};

    runCode(settings);

    assertApi('gtmOnFailure').wasCalled();
    assertApi('gtmOnSuccess').wasNotCalled();
- name: Fails where Pub/Sub cannot be reached
  code: |-
    answer = undefined;

    runCode(settings);

    assertApi('gtmOnFailure').wasCalled();
    assertApi('gtmOnSuccess').wasNotCalled();
setup: |-
  const JSON = require('JSON');
  const fromBase64 = require('fromBase64');

  const settings = {projectId: 'my-project', topic: 'x-conversions'};
  const sent = {};
  let answer = {statusCode: 200};

  const message = () => JSON.parse(sent.body).messages[0];
  const published = () => JSON.parse(fromBase64(message().data));
  const attributes = () => message().attributes;

  mock('getAllEventData', () => ({event_name: 'purchase', transaction_id: '10001'}));
  mock('getCookieValues', () => []);
  mock('getGoogleAuth', () => 'authorization');
  mock('sendHttpRequest', (url, options, body) => {
    sent.url = url;
    sent.options = options;
    sent.body = body;
    return {then: (answered, failed) => answer ? answered(answer) : failed({reason: 'timed_out'})};
  });


___NOTES___

Import this file in the server container under Templates, New, Import; then make a tag of it.
