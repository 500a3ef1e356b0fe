"use strict";
// The upload page: sends a scan, follows its job, shows what came of it. The file's name stays in the browser.
const byId = (id) => document.getElementById(id);
const RESULTS = {
  labels: ["Labels (NIfTI)", "labels.nii.gz"], seg: ["DICOM-SEG", "seg.dcm"], sr: ["DICOM SR", "sr.dcm"],
  rtstruct: ["RTSTRUCT", "rtstruct.dcm"], report: ["Report (JSON)", "report.json"],
};
let job = null;
let waiting = null;

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

function send(file) {
  waiting = null;
  byId("results").hidden = true;
  const request = new XMLHttpRequest();
  request.open("POST", "v1/segmentations");
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
      waiting = file;
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

function problemOf(text) {
  try {
    return JSON.parse(text).detail;
  } catch {
    return "The server answered with something else than expected.";
  }
}

function fail(words) {
  show(null);
  say(words, true);
}

async function follow(mine) {
  while (mine === job) {
    const answer = await fetch(mine, { headers: headers() });
    const status = await answer.json();
    if (!answer.ok) return fail(status.detail);
    if (status.state === "done") return finish(mine);
    if (status.state === "queued") {
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

async function fetched(address) {
  const answer = await fetch(address, { headers: headers() });
  return answer.ok ? URL.createObjectURL(await answer.blob()) : null;
}

async function finish(mine) {
  show(null);
  byId("picture").src = (await fetched(`${mine}/preview`)) ?? "";
  const items = [];
  for (const [kind, [title, name]] of Object.entries(RESULTS)) {
    const address = await fetched(`${mine}/${kind}`);
    if (address === null) continue; // DICOM results of a NIfTI file
    const link = Object.assign(document.createElement("a"), { href: address, download: name, textContent: title });
    const item = document.createElement("li");
    item.append(link);
    items.push(item);
  }
  byId("files").replaceChildren(...items);
  byId("results").hidden = false;
  say("Done. To look at scan and labels: flare-trt view SCAN labels.nii.gz");
}

byId("file").addEventListener("change", () => byId("file").files[0] && send(byId("file").files[0]));
byId("token").addEventListener("change", () => waiting && send(waiting));
byId("form").addEventListener("submit", (event) => event.preventDefault());
byId("forget").addEventListener("click", async () => {
  await fetch(job, { method: "DELETE", headers: headers() });
  job = null;
  byId("results").hidden = true;
  say("The results are deleted.");
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  byId("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length === 1) send(event.dataTransfer.files[0]);
    if (kind === "drop" && event.dataTransfer.files.length > 1) fail("Drop one file: a zip of the series.");
  });
}
