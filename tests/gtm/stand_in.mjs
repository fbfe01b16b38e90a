// A small stand-in for server-side Tag Manager: reads a .tpl, runs its code with the APIs that it has permission for.
//
//   node stand_in.mjs FILE            runs the template's own tests; prints a line for each
//   node stand_in.mjs FILE EVENT      runs it once with this event data; prints what it publishes
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const sections = {};
for (const part of readFileSync(process.argv[2], "utf8").split(/^(?=___[A-Z_]+___$)/m)) {
  const name = part.match(/^___([A-Z_]+)___/)?.[1];
  if (name) sections[name] = part.slice(name.length + 6).trim();
}
const granted = Object.fromEntries(JSON.parse(sections.SERVER_PERMISSIONS).map(({ instance }) =>
  [instance.key.publicId, Object.fromEntries(instance.param.map(({ key, value }) =>
    [key, value.string ?? value.listItem.map((item) => item.string)]))]));

// What Tag Manager allows to a template: only what its permissions name.
const PERMITTED = {
  getAllEventData: () => granted.read_event_data?.eventDataAccess === "any",
  getCookieValues: (name) => granted.get_cookies?.cookieNames.includes(name),
  getGoogleAuth: ({ scopes }) => scopes.every((scope) => granted.use_google_credentials?.allowedScopes.includes(scope)),
  sendHttpRequest: (url) => granted.send_http?.urls.some((pattern) => url.startsWith(pattern.replace(/\*$/, ""))),
};
const PURE = {
  JSON,
  toBase64: (text) => Buffer.from(text).toString("base64"),
  fromBase64: (text) => Buffer.from(text, "base64").toString(),
};

class Container {
  constructor() {
    this.mocks = {};
    this.called = new Set();
    this.require = (name) => {
      if (name in PURE) return PURE[name];
      assert.ok(name in PERMITTED, `${name} is no API of this stand-in`);
      return (...given) => {
        assert.ok(PERMITTED[name](...given), `${name} needs a permission for ${JSON.stringify(given)}`);
        assert.ok(name in this.mocks, `${name} is not mocked`);
        return this.mocks[name](...given);
      };
    };
  }

  run(settings) {
    const told = (name) => () => this.called.add(name);
    const data = { ...settings, gtmOnSuccess: told("gtmOnSuccess"), gtmOnFailure: told("gtmOnFailure") };
    new Function("require", "data", `"use strict";\n${sections.SANDBOXED_JS_FOR_SERVER}`)(this.require, data);
  }
}

// The part of YAML in which Tag Manager writes tests.
function block(lines, indent) {
  return lines.map((line) => line.slice(indent)).join("\n");
}

function scenarios() {
  const [all, setup] = sections.TESTS.split(/^setup: \|-$/m);
  const found = all.split(/^- name: /m).slice(1).map((part) => {
    const [name, , ...code] = part.split("\n");
    return { name, code: block(code, 4) };
  });
  return { found, setup: block(setup.split("\n"), 2) };
}

function test(setup, code) {
  const container = new Container();
  const given = {
    require: container.require,
    mock: (name, made) => { container.mocks[name] = made; },
    runCode: (settings) => container.run(settings),
    assertThat: (found) => ({ isEqualTo: (wanted) => assert.deepEqual(found, wanted) }),
    assertApi: (name) => ({
      wasCalled: () => assert.ok(container.called.has(name), `${name} was not called`),
      wasNotCalled: () => assert.ok(!container.called.has(name), `${name} was called`),
    }),
  };
  new Function(...Object.keys(given), `"use strict";\n${setup}\n${code}`)(...Object.values(given));
}

if (process.argv[3]) {
  const container = new Container();
  container.mocks = {
    getAllEventData: () => JSON.parse(process.argv[3]),
    getCookieValues: () => [],
    getGoogleAuth: () => undefined,
    sendHttpRequest: (url, options, body) => {
      console.log(body);
      return { then: (answered) => answered({ statusCode: 200 }) };
    },
  };
  container.run({ projectId: "my-project", topic: "x-conversions", pixelId: "" });
} else {
  const { found, setup } = scenarios();
  for (const { name, code } of found) {
    test(setup, code);
    console.log(`passed: ${name}`);
  }
}
