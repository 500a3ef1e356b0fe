"use strict";
// The upload page: sends a scan, follows its job, shows what came of it. The file's name stays in the browser.
const byId = (id) => document.getElementById(id);
const RESULTS = {
  labels: ["Labels (NIfTI)", "labels.nii.gz"], seg: ["DICOM-SEG", "seg.dcm"], sr: ["DICOM SR", "sr.dcm"],
  rtstruct: ["RTSTRUCT", "rtstruct.dcm"], report: ["Report (JSON)", "report.json"], page: ["Report (page)", "report.html"],
};
/* What the server asks for in its problems -> where it is entered here. */
const WANTED = { "?series=UID": ["which", "series"], "?acquisition=N": ["phase", "acquisition"] };
let job = null, sending = null, waiting = null;

function headers() {
  const token = byId("token").value;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function say(words, problem = false) {
  byId("state").textContent = words;
  byId("state").className = problem ? "problem" : "";
}

function show(share) {
  byId("progress").hidden = share === null;
  byId("progress").value = share ?? 0;
}

/** Take another scan: nothing that was entered for the last one holds. */
function choose(file) {
  for (const [label, name] of Object.values(WANTED)) [byId(label).hidden, byId(name).value] = [true, ""];
  send(file);
}

/** Send a scan; one that was sent before is forgotten: the page shows one at a time. */
function send(file) {
  forget();
  waiting = file;
  const request = sending = new XMLHttpRequest();
  request.open("POST", `v1/segmentations?${wishes()}`);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
  request.upload.onprogress = (event) => {
    say("Sending the scan");
    show(event.lengthComputable ? event.loaded / event.total : 0);
  };
  request.onerror = () => fail("The server cannot be reached, or it refused the scan before all of it was sent.");
  request.onload = () => {
    if (request.status === 401) {
      byId("locked").hidden = false;
      fail("The server wants its token: enter it above.");
    } else if (request.status === 202) {
      job = `v1/segmentations/${JSON.parse(request.responseText).id}`;
      follow(job);
    } else {
      fail(problemOf(request.responseText));
    }
  };
  request.send(file);
}

/** What is asked for beside the scan. */
function wishes() {
  const asked = new URLSearchParams({ pages: "true" });
  for (const [label, name] of Object.values(WANTED)) {
    if (!byId(label).hidden && byId(name).value) asked.set(name, byId(name).value);
  }
  return asked;
}

/** Leave the last scan: stop sending it, delete its job. Resolves once the server knows. */
function forget() {
  if (sending) sending.abort();
  const gone = job ? fetch(job, { method: "DELETE", headers: headers() }).catch(() => null) : Promise.resolve();
  job = sending = null;
  byId("viewer").src = "about:blank";
  byId("results").hidden = true;
  return gone;
}

function problemOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return "The server answered with something else than expected.";
  }
}

/** Say what went wrong, and offer to enter what the server wants to know. */
function fail(words) {
  show(null);
  for (const [query, [label]] of Object.entries(WANTED)) {
    if (!words.includes(query)) continue;
    byId(label).hidden = false;
    words = words.replaceAll(query, "the field above");
  }
  say(words, true);
}

/** The job's status; null while the server does not answer: one that keeps jobs goes on when it is there again. */
async function statusOf(mine) {
  try {
    const answer = await fetch(mine, { headers: headers() });
    const status = await answer.json();
    return answer.ok ? status : { state: "gone", problem: status.detail };
  } catch {
    return null;
  }
}

async function follow(mine) {
  while (mine === job) {
    const status = await statusOf(mine);
    if (mine !== job) return;
    if (status === null) {
      say("The server does not answer; asked again");
    } else if (status.state === "done") {
      return finish(mine).catch(() => fail("The server does not answer any more: send the scan again."));
    } else if (status.state === "queued") {
      say(`Waiting; ${status.jobs_before} before this one`);
    } else if (status.state === "running") {
      say(status.stage ? `Segmenting: ${status.stage} pass, tile ${status.tiles_done} of ${status.tiles}` : "Reading the scan");
      show(status.tiles ? status.tiles_done / status.tiles : 0);
    } else {
      return fail(`The job is ${status.state}: ${status.problem ?? "send the scan again"}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function fetched(address, more = {}) {
  const answer = await fetch(address, { headers: { ...headers(), ...more } });
  return answer.ok ? URL.createObjectURL(await answer.blob()) : null;
}

/** Show the viewer, or why there is none. */
async function view(mine) {
  const answer = await fetch(`${mine}/viewer`, { headers: headers() });
  byId("viewer").hidden = !answer.ok;
  byId("viewer").src = answer.ok ? answer.url : "about:blank";
  byId("seen").replaceChildren();
  if (answer.ok) {
    const tab = { href: answer.url, target: "_blank", rel: "noopener", textContent: "The viewer in a tab of its own" };
    byId("seen").append(Object.assign(document.createElement("a"), tab));
  } else {
    byId("seen").append(`No viewer: ${problemOf(await answer.text())}`);
  }
}

async function finish(mine) {
  waiting = null;
  show(null);
  say("Done; fetching the results");
  byId("results").hidden = false; // before the viewer draws: it needs its size
  await view(mine);
  byId("picture").src = (await fetched(`${mine}/preview`)) ?? "";
  const items = [];
  for (const [kind, [title, name]] of Object.entries(RESULTS)) {
    const address = await (kind === "page" ? fetched(`${mine}/report`, { Accept: "text/html" }) : fetched(`${mine}/${kind}`));
    if (address === null) continue; // DICOM results of a NIfTI file
    const link = Object.assign(document.createElement("a"), { href: address, download: name, textContent: title });
    const item = document.createElement("li");
    item.append(link);
    items.push(item);
  }
  byId("files").replaceChildren(...items);
  if (mine === job) say("Done.");
}

byId("file").addEventListener("change", () => byId("file").files[0] && choose(byId("file").files[0]));
for (const name of ["token", "series", "acquisition"]) {
  byId(name).addEventListener("change", () => waiting && byId("form").reportValidity() && send(waiting));
}
byId("form").addEventListener("submit", (event) => event.preventDefault());
byId("forget").addEventListener("click", async () => {
  await forget();
  say("The results are deleted.");
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  byId("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length === 1) choose(event.dataTransfer.files[0]);
    if (kind === "drop" && event.dataTransfer.files.length > 1) fail("Drop one file: a zip of the series.");
  });
}
