/**
 * How the names of settings, fields, options and headers end whose values are secrets. Besides our own these are the names in
 * gitleaks’ generic-api-key (see `families.ts`), `SECRET_KEY_BASE` of Rails, `AccountKey` and `SharedAccessKey` of Azure.
 */
export const SECRET_NAMES =
  'pass(?:word|wd|phrase|code)|(?<=[_.-])pass|(?-i:(?<=[a-z])Pass)|(?<![A-Za-z0-9_])pass(?==)|pwd|secret(?:[_-]?key)?(?:[_-]?base)?|token|' +
  'api[_-]?(?:key|secret)|(?:access|private|secret|signing|encryption|account|master|auth|session|license|webhook)[_-]?(?:access[_-]?)?key|' +
  'shared[_-]?(?:access[_-]?)?(?:key|secret)|credentials?|client[_-]?secret|connection[_-]?string';

/**
 * Names of makers that gitleaks’ rules look for before a key (see `families.ts`). After these, and after any `…key`, only
 * a value that looks like a key by itself is hidden.
 */
export const MAKER_NAMES =
  'adafruit|adobe|airtable|algolia|alibaba|asana|atlassian|confluence|jira|beamer|bitbucket|bittrex|meraki|cloudflare|' +
  'codecov|cohere|co_api_key|coinbase|confluent|contentful|datadog|dnkey|discord|droneci|dropbox|etsy|facebook|fastly|' +
  'finicity|finnhub|flickr|freshbooks|gitter|gocardless|heroku|hubspot|intercom|jfrog|artifactory|bintray|xray|kraken|' +
  'kucoin|launchdarkly|linear|linked[_-]?in|lob|looker|mailchimp|mailgun|mapbox|mattermost|message[_-]?bird|netlify|' +
  'new[_-]?relic|nytimes|newyorktimes|okta|plaid|private[_-]?ai|rapidapi|sendbird|sentry|contribsys__com|snyk|sonar|' +
  'squarespace|sumo|telegr|travis|twitch|twitter|typeform|yandex|zendesk|sourcegraph|twilio|' +
  '(?<![A-Za-z])(?:key|auth|creds)|[_-]key';

/** The name of a setting or field whose value is a secret. */
const SECRET_NAME = new RegExp(`(?:${SECRET_NAMES}|authorization|cookie|(?<=[_.-])pass)$`, 'i');

export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/** After a secret's name, no secret: types and empty values. */
export const NO_VALUE = /^(?:string|number|boolean|null|undefined|true|false|none|any|unknown)$/i;
