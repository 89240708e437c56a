// node visit.mjs URL CHROMIUM [FOLDER]: opens the playground as a person would, registers, runs an example, asks a
// question, comes back before the token expires, signs out and in. Where the server does not tell its schema, only an
// example is run. Prints what was seen as one object; with FOLDER, screenshots are written there.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

const [url, executablePath, folder] = process.argv.slice(2);
const WITHIN = 60_000;
const PASSWORD = "a_strong_password";
const SHORTLY = 10_000;
const username = `grace${process.pid}`;
const profile = await mkdtemp(join(tmpdir(), "playground-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: 1400, height: 900 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
browser.setDefaultTimeout(WITHIN);

const seen = { username, complaints: [], requests: [], violations: [], barriers: [] };
const page = browser.pages()[0];
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) seen.complaints.push(message.text());
});
page.on("pageerror", (error) => seen.complaints.push(String(error)));
page.on("request", (request) => seen.requests.push(request.url()));
page.on("requestfailed", (request) => {
  const { errorText } = request.failure();
  // A subscription that is complete ends by its client closing the connection.
  if (errorText !== "net::ERR_ABORTED") seen.complaints.push(`${request.url()}: ${errorText}`);
});
await page.exposeFunction("tellViolation", (violation) => seen.violations.push(violation));
await page.addInitScript(() => {
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sourceFile, lineNumber }) =>
    window.tellViolation(`${effectiveDirective} ${blockedURI} ${sourceFile}:${lineNumber}`),
  );
});

const shot = (name) => folder && page.screenshot({ path: join(folder, `${name}.png`) });
/** An editor's text, from its model: only the lines in view are in the page. */
const textOf = (editor) =>
  page.evaluate(
    (name) => globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith(name))?.getValue() ?? null,
    editor,
  );
const run = () => page.getByRole("button", { name: "Execute query" }).click();

async function until(what, done) {
  const deadline = Date.now() + WITHIN;
  for (;;) {
    const value = await done();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`not within ${WITHIN} ms: ${what}`);
    await page.waitForTimeout(50);
  }
}

/** What axe-core says about the parts that are ours: one line for each element that breaks a rule. */
async function barriers(...ours) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate((include) => globalThis.axe.run({ include }), ours);
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

async function open() {
  await page.goto(url);
  await page.locator(".graphiql-query-editor .view-line").first().waitFor();
  seen.notice = await page.locator(".notice").allTextContents();
}

async function register() {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "I have no account yet" }).click();
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Email").fill(`${username}@example.test`);
  await page.getByLabel("Password").fill("short");
  await page.getByRole("button", { name: "Create an account" }).click();
  seen.refusal = await until("a refusal", () => page.locator(".sign-in [role=alert]").textContent());
  seen.barriers.push(...(await barriers(".sign-in")));
  await shot("registering");
  await page.getByLabel("Password").fill(PASSWORD);
  await page.getByRole("button", { name: "Create an account" }).click();
  await page.getByText(`Signed in as ${username}`).waitFor();
  return prefilled();
}

async function signIn() {
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(PASSWORD);
  await page.keyboard.press("Enter");
  await page.getByText(`Signed in as ${username}`).waitFor();
}

/** The headers editor's Authorization, once it has one. */
const prefilled = async () =>
  JSON.parse(await until("the token is prefilled", () => textOf("request-headers.json"))).Authorization;

async function runExample(name) {
  await page.locator(".examples button").filter({ has: page.getByText(name, { exact: true }) }).click();
  await page.getByRole("tab", { name, selected: true }).or(page.locator(`[aria-selected=true] >> text=${name}`)).first().waitFor();
  await page.evaluate(() =>
    globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith("response.json")).setValue(""),
  );
  await run();
  return JSON.parse(await until(`an answer to ${name}`, () => textOf("response.json")));
}

async function askAndWatch() {
  await page.locator(".examples button").first().click();
  await until("the chat's id is filled in", async () => JSON.parse((await textOf("variables.json")) || "{}").sessionId);
  await page.evaluate(() => {
    globalThis.growth = [];
    const look = () => globalThis.growth.push(document.querySelector(".answer .text")?.textContent.length ?? 0);
    new MutationObserver(look).observe(document.querySelector(".graphiql-footer"), { subtree: true, childList: true, characterData: true });
  });
  await run();
  await page.locator(".answer .status[data-status=COMPLETED]").waitFor();
  await page.getByText(/\d+ events/).click();
  await shot("answered");
  seen.barriers.push(...(await barriers(".answer")));
  return {
    text: await page.locator(".answer .text").textContent(),
    links: await page.locator(".answer .text a").count(),
    sources: await page.locator(".answer .sources li").allTextContents(),
    events: await page.locator(".answer .events li").evaluateAll((items) =>
      items.map((item) => [item.value, item.querySelector("code").textContent, item.querySelector("q").textContent]),
    ),
    growth: [...new Set(await page.evaluate(() => globalThis.growth))],
    response: JSON.parse(await textOf("response.json")),
  };
}

/** Whether the docs show what the schema says. */
async function docs() {
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  await page.locator(".graphiql-doc-explorer-content").getByRole("link", { name: "Subscription" }).waitFor();
  await page.getByRole("button", { name: "Show Examples" }).click();
  return true;
}

/** How the page looks on a telephone, and in the dark. */
async function narrowAndDark() {
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: "dark" });
  const box = await page.getByRole("button", { name: "Execute query" }).boundingBox();
  seen.narrow = {
    overflow: await page.evaluate(() => document.scrollingElement.scrollWidth - window.innerWidth),
    runsAt: box.x + box.width,
  };
  await shot("narrow");
  await page.setViewportSize({ width: 1400, height: 900 });
  seen.barriers.push(...(await barriers(".bar", ".examples", ".answer")));
  await shot("dark");
  await page.emulateMedia({ colorScheme: "light" });
}

async function visit() {
  seen.barriers.push(...(await barriers(".bar", ".examples")));
  seen.docs = await docs();
  seen.token = await register();
  seen.viewer = await runExample("Viewer");
  seen.answer = await askAndWatch();
  await narrowAndDark();

  const expiry = await page.evaluate(() => JSON.parse(sessionStorage.getItem("answerdesk:login")).expiresAt);
  await page.clock.setFixedTime(expiry - SHORTLY);
  seen.viewerLater = await runExample("Viewer");
  seen.tokenLater = await prefilled();

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("Not signed in").waitFor();
  seen.headersWithoutLogin = await textOf("request-headers.json");
  seen.stranger = await runExample("Viewer");
  seen.kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));

  await signIn();
  await page.reload();
  await page.getByText(`Signed in as ${username}`).waitFor();
  seen.tokenAfterReload = await prefilled();
}

try {
  await open();
  await shot("opened");
  if (seen.notice.length) seen.stranger = await runExample("Viewer");
  else await visit();
} catch (failure) {
  seen.failure = failure.stack;
  await shot("failure");
} finally {
  await browser.close();
  await rm(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(seen));
