// Windows PE as ironwake.js sees it: a machine by `rig.machine`, its traces on standard output.
"use strict";
const { readFileSync, writeSync } = require("node:fs");
const vm = require("node:vm");
const rig = JSON.parse(readFileSync(0, "utf8"));
const files = Object.assign({}, rig.files);
const traces = [];

function end() {
  writeSync(1, JSON.stringify({ traces, files }));
  process.exit(0);
}

function served(url, path) {
  if (!(url in rig.served)) { return false; }
  files[path] = rig.served[url];
  return true;
}
function run(command) {
  traces.push(command);
  const diskpart = command.match(/diskpart\.exe \/s (\S+)/);
  if (diskpart) {
    traces.push(files[diskpart[1]]);
    files["X:\\ironwake.txt"] = "";
  }
  const curl = command.match(/curl\.exe .*-o "([^"]+)" "([^"]+)"/);
  if (curl) {
    if (command.includes("-X POST")) { return 0; }
    return served(curl[2], curl[1]) ? 0 : 22;
  }
  for (const [part, code] of Object.entries(rig.codes)) {
    if (command.includes(part)) { return code; }
  }
  if (command.includes("dism.exe")) { Object.assign(files, rig.unpacked); }
  return 0;
}
const objects = {
  "WScript.Shell": () => ({
    ExpandEnvironmentStrings: (text) =>
      text.replace("%SYSTEMROOT%", "X:\\Windows").replace("%SYSTEMDRIVE%", "X:"),
    Run: (command) => run(command),
    RegRead: () => rig.firmware,
  }),
  "Scripting.FileSystemObject": () => ({
    FileExists: (path) => path in files,
    CreateFolder: () => undefined,
    CopyFolder: (from, to) => traces.push("copy " + from + " " + to),
    GetParentFolderName: (path) => path.slice(0, path.lastIndexOf("\\")),
    CreateTextFile: (path) => ({
      Write: (text) => { files[path] = text; },
      Close: () => undefined,
    }),
    OpenTextFile: (path, mode, create, format) => ({
      AtEndOfStream: files[path] === "",
      ReadAll: () => format === -1 ? files[path].slice(2).replaceAll("\0", "") : files[path],
      Close: () => undefined,
    }),
    GetFolder: (folder) => {
      const below = Object.keys(files).filter((path) => path.startsWith(folder + "\\"));
      const rest = below.map((path) => path.slice(folder.length + 1));
      const inside = [...new Set(rest.filter((p) => p.includes("\\")).map((p) => p.split("\\")[0]))];
      const own = rest.filter((path) => !path.includes("\\"));
      const full = (name) => ({ Path: folder + "\\" + name });
      return { Files: own.map(full), SubFolders: inside.map(full) };
    },
  }),
  "MSXML2.XMLHTTP.6.0": () => {
    const http = { status: 0 };
    http.open = (method, url) => { http.method = method; http.url = url; };
    http.send = () => {
      traces.push(http.method + " " + http.url);
      const there = http.method === "POST" || http.url in rig.served;
      http.status = there ? 200 : 404;
      http.responseText = rig.served[http.url];
    };
    return http;
  },
};
const world = vm.createContext({
  ActiveXObject: function (name) { return objects[name](); },
  GetObject: () => ({
    ExecQuery: (query) => query.includes("Win32_DiskDrive") ? rig.disks : rig.devices,
  }),
  Enumerator: function (items) {
    let at = 0;
    this.atEnd = () => at >= items.length;
    this.moveNext = () => { at += 1; };
    this.item = () => items[at];
  },
  WScript: {
    Echo: (text) => traces.push(text),
    Sleep: (milliseconds) => { if (milliseconds > 60000) { end(); } },
  },
});
vm.runInContext(rig.program, world);
end();
