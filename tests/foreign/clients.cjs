// Calls the endpoint by the JavaScript clients that are published for this API.
//
// 0.1 to 0.3 have no call for the endpoint: their own request machinery is given its path.
// 0.4 and 0.5 ask for a user action first, at endpoints that are not this server's: the answers to
// those two are made up, and the token comes along.
// 0.6 is used as it is.
// 0.7 and 0.8 send neither application id nor nonce: a hook in the HTTP library that they use puts
// in what 0.6 would send.

const assert = require('node:assert/strict')
const { createRequire } = require('node:module')
const { readFileSync } = require('node:fs')
const { join } = require('node:path')

const [baseUrl, examples] = process.argv.slice(2)
const { apps } = JSON.parse(readFileSync(join(examples, 'server.json'), 'utf8'))
const of = (kind) => apps.find((app) => app.kind === kind)
const clientSide = { appId: of('ClientSideApplication').id }
const serverSide = of('ServerSideApplication')
const unsigned = { appId: serverSide.id, appSecret: serverSide.secrets[0] }
const refusals = {
  app: [401, 'application is missing or invalid'],
  signature: [401, 'api signature is missing or invalid'],
  body: [400, 'username is no e-mail address of 3 to 254 bytes'],
}

const byMachinery = (sdk) => {
  const { simpleFetch } = require(`${sdk}/utils/fetch`)
  return async (apiOptions, body) => {
    const options = { method: 'PUT', body, apiOptions: { baseUrl, ...apiOptions } }
    const path = '/auth/manage/users/send-registration-email'
    return (await simpleFetch(path, options)).json()
  }
}

const byCall = (sdk) => {
  const { DfnsApiClient } = require(sdk)
  return (apiOptions, body) =>
    new DfnsApiClient({
      baseUrl,
      signer: { sign: async () => ({}) },
      ...apiOptions,
    }).auth.resendRegistrationCode({ body })
}

const byCallWithUserAction = (sdk) => {
  const { BaseAuthApi } = require(sdk)
  BaseAuthApi.createUserActionChallenge = async () => ({ challengeIdentifier: 'made up' })
  BaseAuthApi.signUserActionChallenge = async () => ({ userAction: 'made-up' })
  return byCall(sdk)
}

// `fetch` is read when the client is loaded, so it has to be there before.
const byCallWithHeaders = (sdk) => {
  const crossFetch = createRequire(require.resolve(sdk))('cross-fetch')
  const { generateNonce } = require('dfns-0.6/utils/nonce')
  const { fetch } = crossFetch
  let app = {}
  crossFetch.fetch = (url, options) => {
    const nonce = app.appId ? { 'x-dfns-appid': app.appId, 'x-dfns-nonce': generateNonce() } : {}
    const secret = app.appSecret ? { 'x-dfns-appsecret': app.appSecret } : {}
    return fetch(url, { ...options, headers: { ...options.headers, ...nonce, ...secret } })
  }
  const call = byCall(sdk)
  crossFetch.fetch = fetch
  return (apiOptions, body) => {
    app = apiOptions
    return call({}, body)
  }
}

const drivers = {
  'dfns-0.1': byMachinery,
  'dfns-0.2': byMachinery,
  'dfns-0.3': byMachinery,
  'dfns-0.4': byCallWithUserAction,
  'dfns-0.5': byCallWithUserAction,
  'dfns-0.6': byCall,
  'dfns-0.7': byCallWithHeaders,
  'dfns-0.8': byCallWithHeaders,
}

const main = async () => {
  for (const [sdk, driver] of Object.entries(drivers)) {
    const call = driver(sdk)
    const resend = (apiOptions, username) =>
      call(apiOptions, { username, orgId: 'example-org-id' })
    const isRefused = async (apiOptions, username, [httpStatus, message]) =>
      assert.rejects(resend(apiOptions, username), { httpStatus, message })

    const username = `${sdk}@example.co`
    assert.deepEqual(await resend(clientSide, username), { message: 'success' })
    console.log(`mail ${username}`)
    await isRefused({ appId: 'unknown' }, username, refusals.app)
    await isRefused(unsigned, username, refusals.signature)
    await isRefused(clientSide, 'jane', refusals.body)
    console.log(`passed @dfns/sdk ${require(`${sdk}/package.json`).version}`)
  }
}

main()
