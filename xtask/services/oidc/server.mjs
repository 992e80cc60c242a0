// An OpenID provider for tests, on npm's `oidc-provider`: a real authorization server that knows nothing of this
// workspace's client. `cargo xtask test` and `cargo xtask services` start it. Everything is kept in memory.
//
// Account: `ada` (claims: sub=ada, name=Ada Lovelace, email=ada@example.com, email_verified=true).
// Scopes: openid profile email offline_access api:read api:write.
//
// Clients, all with PKCE S256 required and the redirect URIs http://127.0.0.1:<any port>/callback and
// https://app.example/callback. Each may use authorization_code, refresh_token and device_code, and all but `native`
// client_credentials too:
//   basic   client_secret_basic, secret  basic%2F/+:secret%   (must be form-encoded before base64, RFC 6749 2.3.1)
//   post    client_secret_post,  secret  post%2F/+:secret%
//   jwt     private_key_jwt, RS256 or ES256; the private keys: GET /test/private-key/{RS256,ES256} (PKCS #8 PEM)
//   native  public, no secret
//
// Behaviour: access tokens are opaque and live 3600 s. Every refresh rotates the refresh token; a used one revokes the
// whole grant at once, without a time of grace. Every authorization answer carries `iss` (RFC 9207).
//
// Standard routes, all in /.well-known/openid-configuration: /auth /token /me /jwks /token/revocation
// /token/introspection /device/auth /device. `/auth` signs `ada` in and consents without a question, through redirects
// that need cookies.
//
// Routes for tests that have no browser:
//   GET /test/authorize?<query of /auth>     303 to the redirect URI with `code` (no cookies needed)
//   GET /test/deny?<query of /auth>          303 to the redirect URI with error=access_denied
//   GET /test/device/approve?user_code=...   204; 404 for a code that is unknown, expired or answered already
//   GET /test/device/deny?user_code=...      204; the next poll gets access_denied
//   GET /test/revoke?refresh_token=...       204; the grant is gone as if the user had withdrawn it; 404 if unknown
//   GET /test/private-key/RS256              200, PEM
//   GET /test/rotate                         204; statements are signed by new keys with new ids; /jwks has them and those
//                                            before them; everything that was granted stays
//
// Prints `ready PORT` on standard output as soon as it listens on 127.0.0.1.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

const ACCOUNT = 'ada';
const CLAIMS = { name: 'Ada Lovelace', email: 'ada@example.com', email_verified: true };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const USER_GRANTS = ['authorization_code', 'refresh_token', DEVICE];
const DENY = 'x-test-deny';

const server = createServer();
server.listen(0, '127.0.0.1', start);

function start() {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  const signing = keys();
  const cookies = [randomBytes(16).toString('hex')];
  let generation = 0;
  let before = [];
  let provider;
  let handle;
  // The library's keys are fixed when a provider is made. What it has granted is kept for all providers of the process.
  const renew = () => {
    generation += 1;
    const present = jwks(keys(), 'privateKey', `-${generation}`).keys;
    // The first key that fits signs.
    provider = new Provider(issuer, configuration({ keys: [...present, ...before] }, signing, cookies));
    before = present;
    handle = provider.callback();
  };
  renew();
  server.on('request', (request, response) => {
    if (request.url === '/test/rotate') {
      renew();
      response.writeHead(204).end();
      return;
    }
    answer(provider, issuer, signing, request, response)
      .then((done) => done || handle(request, response))
      .catch((error) => send(response, 500, `${error.stack}\n`));
  });
  console.log(`ready ${port}`);
}

function keys() {
  return {
    RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  };
}

function jwks(pairs, half, suffix = '') {
  const key = ([alg, pair]) => ({ ...pair[half].export({ format: 'jwk' }), alg, use: 'sig', kid: alg + suffix });
  return { keys: Object.entries(pairs).map(key) };
}

function configuration(own, ofClient, cookies) {
  return {
    clients: clients(ofClient),
    jwks: own,
    cookies: { keys: cookies },
    scopes: ['openid', 'offline_access', 'api:read', 'api:write'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    // The claims of a scope are in the ID token too, as with the large providers.
    conformIdTokenClaims: false,
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, ...CLAIMS }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    // Without `prompt=consent` the library drops `offline_access`; here being allowed to refresh is enough.
    issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    ttl: { AccessToken: 3600, ClientCredentials: 3600, RefreshToken: 86400, Grant: 86400 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
  };
}

function clients(ofClient) {
  const client = (client_id, token_endpoint_auth_method, more) => ({
    client_id,
    token_endpoint_auth_method,
    // The library lets the port of a loopback redirect vary for native applications alone (RFC 8252 7.3).
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback', 'https://app.example/callback'],
    response_types: ['code'],
    grant_types: [...USER_GRANTS, 'client_credentials'],
    ...more,
  });
  return [
    client('basic', 'client_secret_basic', { client_secret: 'basic%2F/+:secret%' }),
    client('post', 'client_secret_post', { client_secret: 'post%2F/+:secret%' }),
    client('jwt', 'private_key_jwt', { jwks: jwks(ofClient, 'publicKey') }),
    client('native', 'none', { grant_types: USER_GRANTS }),
  ];
}

/** Answers the routes that are not the library's; false for all others. */
async function answer(provider, issuer, signing, request, response) {
  const url = new URL(request.url, issuer);
  const query = url.searchParams;
  const path = url.pathname;
  if (path.startsWith('/interaction/')) {
    await interact(provider, request, response);
  } else if (path === '/test/authorize') {
    await withoutBrowser(issuer, url, {}, response);
  } else if (path === '/test/deny') {
    await withoutBrowser(issuer, url, { [DENY]: 'yes' }, response);
  } else if (path === '/test/device/approve') {
    await settleDevice(provider, query.get('user_code'), approved, response);
  } else if (path === '/test/device/deny') {
    await settleDevice(provider, query.get('user_code'), denied, response);
  } else if (path === '/test/revoke') {
    await revoke(provider, query.get('refresh_token'), response);
  } else if (path.startsWith('/test/private-key/')) {
    const pair = signing[path.slice('/test/private-key/'.length)];
    const pem = pair?.privateKey.export({ format: 'pem', type: 'pkcs8' });
    send(response, pem ? 200 : 404, pem ?? 'no such key\n');
  } else {
    return false;
  }
  return true;
}

/** What a person would do on the pages of sign-in and consent. */
async function interact(provider, request, response) {
  if (request.headers[DENY]) {
    const result = { error: 'access_denied', error_description: 'the user refused' };
    await provider.interactionFinished(request, response, result);
    return;
  }
  const { params } = await provider.interactionDetails(request, response);
  const grantId = await grant(provider, params.client_id, params.scope);
  await provider.interactionFinished(request, response, { login: { accountId: ACCOUNT }, consent: { grantId } });
}

async function grant(provider, clientId, scope) {
  const given = new provider.Grant({ accountId: ACCOUNT, clientId });
  given.addOIDCScope(scope ?? '');
  return given.save();
}

/** Plays the browser: follows redirects with cookies until one leads away from here, and hands that one out. */
async function withoutBrowser(issuer, url, headers, response) {
  const cookies = new Map();
  let next = `${issuer}/auth${url.search}`;
  while (next.startsWith(`${issuer}/`)) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const step = await fetch(next, { redirect: 'manual', headers: { ...headers, cookie } });
    const location = step.headers.get('location');
    if (!location) {
      send(response, step.status, await step.text());
      return;
    }
    for (const line of step.headers.getSetCookie()) {
      const [name, value] = line.split(';', 1)[0].split(/=(.*)/s);
      cookies.set(name, value);
    }
    next = new URL(location, next).href;
  }
  response.writeHead(303, { location: next }).end();
}

async function settleDevice(provider, userCode, decision, response) {
  // Stored without the dash that it is shown with.
  const code = await provider.DeviceCode.findByUserCode((userCode ?? '').toUpperCase().replace(/\W/g, ''));
  if (!code?.isValid || code.accountId || code.error) {
    send(response, 404, 'no device waits with this user_code\n');
    return;
  }
  Object.assign(code, await decision(provider, code));
  await code.save();
  response.writeHead(204).end();
}

async function approved(provider, code) {
  const { scope } = code.params;
  const grantId = await grant(provider, code.clientId, scope);
  return { accountId: ACCOUNT, authTime: Math.floor(Date.now() / 1000), grantId, scope };
}

async function denied() {
  return { error: 'access_denied', errorDescription: 'the user refused' };
}

async function revoke(provider, refreshToken, response) {
  const token = await provider.RefreshToken.find(refreshToken ?? '');
  if (!token) {
    send(response, 404, 'no such refresh token\n');
    return;
  }
  await (await provider.Grant.find(token.grantId))?.destroy();
  response.writeHead(204).end();
}

function send(response, status, text) {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
}
