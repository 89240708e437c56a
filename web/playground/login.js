// Who is signed in. The access token outlives a reload of this tab, in sessionStorage, until it expires within the hour.
// The refresh token is only in memory: it is good for weeks, and two copies of a tab that both spent it would end the login.
import { ask, Refusal } from "./desk.js";
import { createStore } from "./store.js";

const KEY = "answerdesk:login";
const EARLY = 30_000; // milliseconds before it expires that a token is renewed
const GRANT = "accessToken refreshToken expiresIn user { username }";

/** `{username, accessToken, expiresAt}`, or null. */
export const login = createStore(kept());
/** Why there is none any more: a sentence, or null. */
export const farewell = createStore(null);

let refreshToken = null;
let renewing = null;
const issued = new Set(login.get() && [bearer()]);

function kept() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY));
    return stored && stored.expiresAt > Date.now() ? stored : null;
  } catch {
    return null;
  }
}

/** The header's value, or null. */
export function bearer() {
  return login.get() && `Bearer ${login.get().accessToken}`;
}

/** Whether this page got the token that the header's value holds. */
export const isOurs = (authorization) => issued.has(authorization);
export const spendable = () => refreshToken;

/** Takes the tokens that a register, login or refreshToken answered with. */
export function adopt(grant) {
  if (!grant.accessToken) return;
  refreshToken = grant.refreshToken ?? null;
  const adopted = {
    username: grant.user?.username ?? login.get()?.username ?? "",
    accessToken: grant.accessToken,
    expiresAt: Date.now() + (grant.expiresIn ?? 60) * 1000,
  };
  issued.add(`Bearer ${adopted.accessToken}`);
  sessionStorage.setItem(KEY, JSON.stringify(adopted));
  farewell.set(null);
  login.set(adopted);
}

export function forget(why = null) {
  refreshToken = null;
  sessionStorage.removeItem(KEY);
  farewell.set(why);
  login.set(null);
}

export async function signIn(input) {
  const query = `mutation($input: LoginInput!) { grant: login(input: $input) { ${GRANT} } }`;
  adopt((await ask(query, { input })).grant);
}

export async function signUp(input) {
  const query = `mutation($input: RegisterInput!) { grant: register(input: $input) { ${GRANT} } }`;
  adopt((await ask(query, { input })).grant);
}

export async function signOut() {
  const authorization = bearer();
  forget();
  await ask("mutation { logout }", {}, authorization).catch(() => {}); // it may have ended already
}

/** What to send for a header's value: this page's newest token in place of one that expires. */
export async function fresh(authorization) {
  if (!login.get() || !isOurs(authorization)) return authorization;
  if (login.get().expiresAt - Date.now() < EARLY) await renew();
  return bearer() ?? authorization;
}

/** At most one at a time: a refresh token is good for one use. */
function renew() {
  renewing ??= spend().finally(() => {
    renewing = null;
  });
  return renewing;
}

async function spend() {
  if (!refreshToken) {
    if (login.get().expiresAt <= Date.now()) forget("Your login has expired. Sign in again.");
    return;
  }
  try {
    const query = `mutation($token: String!) { grant: refreshToken(refreshToken: $token) { ${GRANT} } }`;
    adopt((await ask(query, { token: refreshToken })).grant);
  } catch (failure) {
    if (failure instanceof Refusal) forget("Your login has ended. Sign in again.");
  }
}
