"""What Windows PE runs on a machine: from its own start to the end of Windows' set-up.

wimboot puts the files of `texts` into \\Windows\\System32 of the booted image. They know where the
answers are and nothing else; the order and the answer file are fetched with the token, once.

Windows PE mounts nothing by HTTP: the image to install is fetched into a partition of its own on
the disk (which goes once Windows is up), or stands on a share of the user's.
"""

from __future__ import annotations

import json
from typing import Any, Final

ORDER: Final = "order.json"
ANSWERS: Final = "autounattend.xml"
PROGRAM: Final = "ironwake.js"
# Where the program puts the number of the disk and of the partition that it has made.
DISK: Final = "ironwake-disk"
PARTITION: Final = "ironwake-partition"

_SHELL = r"""[LaunchApps]
%SYSTEMROOT%\System32\cmd.exe, /c %SYSTEMROOT%\System32\startnet.cmd
"""
# Windows PE restarts when its shell ends, and the program returns only where something failed.
_START = r"""@echo off
title Ironwake
wpeinit
wpeutil UpdateBootInfo
cscript.exe //nologo //e:jscript %SYSTEMROOT%\System32\ironwake.js
echo Ironwake: nothing more is done here. Switch the machine off, or look around.
cmd.exe /k
"""


def texts(answers: str, drivers: str) -> dict[str, str]:
    """Files for Windows PE's own folder, by name.

    `answers`: where the answer files are; `drivers`: a WIM with folders of drivers, "" for none.
    """
    places = f"var ANSWERS = {json.dumps(answers)};\nvar DRIVERS = {json.dumps(drivers)};\n"
    program = places + _PROGRAM
    files = {"winpeshl.ini": _SHELL, "startnet.cmd": _START, PROGRAM: program}
    return {name: text.replace("\n", "\r\n") for name, text in files.items()}


def order(data: dict[str, Any]) -> str:
    """The order as the program reads it: JSON in ASCII, which is JavaScript, too."""
    return json.dumps(data, indent=1) + "\n"


# JScript of Windows Script Host is ECMAScript 3: no JSON, no trim, no forEach.
_PROGRAM = r"""
var shell = new ActiveXObject("WScript.Shell");
var files = new ActiveXObject("Scripting.FileSystemObject");
var SYSTEM = shell.ExpandEnvironmentStrings("%SYSTEMROOT%") + "\\System32\\";
var HERE = shell.ExpandEnvironmentStrings("%SYSTEMDRIVE%") + "\\";
var OUTPUT = HERE + "ironwake.txt";
var NO_DRIVERS = /<component name="[\w-]+PnpCustomizationsWinPE"[^>]*>[\s\S]*?<\/component>/;
var order = null;

function say(text) { WScript.Echo("Ironwake: " + text); }
function bare(text) { return String(text || "").replace(/^\s+|\s+$/g, ""); }
function run(command) {
  return shell.Run('cmd.exe /c "' + command + ' >"' + OUTPUT + '" 2>&1"', 0, true);
}
function write(path, text) {
  var file = files.CreateTextFile(path, true, false);
  file.Write(text);
  file.Close();
}
function readAs(path, format) {
  var file = files.OpenTextFile(path, 1, false, format);
  var text = file.AtEndOfStream ? "" : file.ReadAll();
  file.Close();
  return text;
}
// Drivers' INF files are often UTF-16, which its byte order mark says.
function read(path) {
  var text = readAs(path, 0);
  return /^\xff\xfe/.test(text) ? readAs(path, -1) : text;
}
function hasCurl() { return files.FileExists(SYSTEM + "curl.exe"); }

// Small texts go without curl, too: it came to Windows PE late.
function ask(method, url, path) {
  if (hasCurl()) {
    var post = method === "POST" ? '-X POST -d "" ' : "";
    var out = '-o "' + (path || OUTPUT) + '" "';
    return shell.Run("curl.exe -fsS -m 120 --retry 5 " + post + out + url + '"', 0, true) === 0;
  }
  try {
    var http = new ActiveXObject("MSXML2.XMLHTTP.6.0");
    http.open(method, url, false);
    http.send("");
    if (http.status < 200 || http.status > 299) { return false; }
    if (path) { write(path, http.responseText); }
    return true;
  } catch (error) { return false; }
}
function fetch(url, path) {
  if (!hasCurl()) { return false; }
  var more = "-fsS -C - --retry 20 --retry-delay 3 --retry-connrefused -o ";
  return shell.Run('curl.exe ' + more + '"' + path + '" "' + url + '"', 0, true) === 0;
}
function tell(stage, step, id, message) {
  var words = "?stage=" + stage + "&step=" + encodeURIComponent(step) + "&id=" + id;
  if (message) { words += "&message=" + encodeURIComponent(message.substring(0, 400)); }
  ask("POST", order.callbacks + words, "");
}
function stop(message, step) {
  var error = new Error(message);
  error.step = step || "";
  throw error;
}

function disksHere() {
  var found = [];
  var wmi = GetObject("winmgmts:{impersonationLevel=impersonate}!\\\\.\\root\\cimv2");
  var rows = new Enumerator(wmi.ExecQuery("SELECT * FROM Win32_DiskDrive"));
  for (; !rows.atEnd(); rows.moveNext()) {
    var row = rows.item();
    found.push({
      number: row.Index, size: Number(row.Size || 0), serial: bare(row.SerialNumber),
      id: bare(row.PNPDeviceID), model: bare(row.Model), parts: Number(row.Partitions || 0),
      usb: String(row.InterfaceType) === "USB",
      removable: /removable/i.test(String(row.MediaType || "")),
      nvme: /nvme/i.test(String(row.PNPDeviceID || "") + row.Model)
    });
  }
  return found;
}
// By its serial number, or by Windows' own name of it: virtual disks often have no number.
function isCalled(disk, name) {
  var wanted = name.toLowerCase();
  return wanted !== "" &&
    (disk.serial.toLowerCase() === wanted || disk.id.toLowerCase() === wanted);
}
function named(disk) {
  return "disk " + disk.number + " (" + disk.model + ", " +
    (disk.serial ? "serial " + disk.serial : disk.id) + ", " +
    Math.round(disk.size / 1073741824) + " GiB)";
}
function listed(disks) {
  var names = [];
  for (var i = 0; i < disks.length; i++) { names.push(named(disks[i])); }
  return names.join("; ") || "none";
}
// The rules of ironwake.disk: one that is named, or the only one that is fit, or by size.
function choose(disks, wanted) {
  var fit = [], i, disk;
  for (i = 0; i < disks.length; i++) {
    disk = disks[i];
    if (wanted.serial) {
      if (isCalled(disk, wanted.serial)) { fit.push(disk); }
    } else if (!disk.usb && !disk.removable && disk.size >= wanted.least &&
        (!wanted.most || disk.size <= wanted.most) && (!wanted.nvme || disk.nvme)) {
      fit.push(disk);
    }
  }
  if (wanted.pick) {
    fit.sort(function (one, other) {
      var order = wanted.pick === "smallest" ? one.size - other.size : other.size - one.size;
      return order || (one.serial < other.serial ? -1 : 1);
    });
    fit = fit.slice(0, 1);
  }
  if (fit.length === 0) {
    stop("no disk is the one that is wanted; there are: " + listed(disks));
  }
  if (fit.length > 1) {
    stop(fit.length + " disks are fit: " + listed(fit) + "; name one in disk.match");
  }
  if (fit[0].size < wanted.room) {
    stop(named(fit[0]) + " is too small: " + Math.round(wanted.room / 1073741824) +
      " GiB are needed");
  }
  return fit[0];
}
// Windows PE has no means to read a disk's first sectors, so one without partitions may be full of
// data: one of a RAID, a file system on the whole of it. It writes only to a disk that is named.
function guard(disk, erase) {
  for (var i = 0; i < erase.length; i++) { if (isCalled(disk, erase[i])) { return; } }
  var seen = disk.parts > 0 ? disk.parts + " partitions are on it"
    : "Windows PE sees nothing but partitions, and none is on it";
  stop(named(disk) + " is not written: " + seen + "; if all that is there may go, " +
    "deploy again with --erase " + (disk.serial || '"' + disk.id + '"'), "guard");
}
function isUefi() {
  try {
    return shell.RegRead("HKLM\\SYSTEM\\CurrentControlSet\\Control\\PEFirmwareType") === 2;
  } catch (error) { return false; }
}
// The partition that Windows goes to, as set-up counts them.
function divide(disk, uefi, staging) {
  var lines = ["select disk " + disk.number, "clean"];
  if (uefi) {
    lines.push("convert gpt", "create partition efi size=300", "format quick fs=fat32 label=System",
      "create partition msr size=16");
  } else {
    lines.push("convert mbr", "create partition primary size=500",
      "format quick fs=ntfs label=System", "active");
  }
  lines.push("create partition primary");
  if (staging) { lines.push("shrink desired=" + staging + " minimum=" + staging); }
  lines.push("format quick fs=ntfs label=Windows");
  if (staging) {
    lines.push("create partition primary", "format quick fs=ntfs label=IRONWAKE",
      "assign letter=I");
  }
  write(HERE + "divide.txt", lines.join("\r\n") + "\r\n");
  if (run("diskpart.exe /s " + HERE + "divide.txt") !== 0) {
    stop("diskpart could not divide " + named(disk) + ": " + bare(read(OUTPUT)).slice(-200));
  }
  return uefi ? 3 : 2;
}

function machineIds() {
  var ids = {};
  var wmi = GetObject("winmgmts:{impersonationLevel=impersonate}!\\\\.\\root\\cimv2");
  var query = "SELECT * FROM Win32_PnPEntity WHERE DeviceID LIKE 'PCI\\\\%'";
  var rows = new Enumerator(wmi.ExecQuery(query));
  for (; !rows.atEnd(); rows.moveNext()) {
    var found = String(rows.item().DeviceID).match(/VEN_[0-9A-F]{4}&DEV_[0-9A-F]{4}/i);
    if (found) { ids[found[0].toUpperCase()] = true; }
  }
  return ids;
}
// Whether a driver's INF file names one of these PCI ids.
function fits(inf, ids) {
  var named = inf.match(/PCI\\VEN_[0-9A-F]{4}&DEV_[0-9A-F]{4}/ig) || [];
  for (var i = 0; i < named.length; i++) {
    if (ids[named[i].substring(4).toUpperCase()]) { return true; }
  }
  return false;
}
function drivers(folder, ids, found) {
  var each, inside = files.GetFolder(folder);
  for (each = new Enumerator(inside.Files); !each.atEnd(); each.moveNext()) {
    var path = each.item().Path;
    if (/\.inf$/i.test(path) && fits(read(path), ids)) { found.push(path); }
  }
  for (each = new Enumerator(inside.SubFolders); !each.atEnd(); each.moveNext()) {
    drivers(each.item().Path, ids, found);
  }
  return found;
}
// Only what fits this machine goes to where set-up looks for drivers (DriverPaths).
function fetchDrivers() {
  tell("installing", "drivers", "drivers", "");
  if (!fetch(DRIVERS, "I:\\drivers.wim")) { stop("the drivers could not be fetched"); }
  files.CreateFolder("I:\\all");
  if (run("dism.exe /Apply-Image /ImageFile:I:\\drivers.wim /Index:1 /ApplyDir:I:\\all") !== 0) {
    stop("the drivers could not be unpacked: " + bare(read(OUTPUT)).slice(-200));
  }
  files.CreateFolder("I:\\drivers");
  var found = drivers("I:\\all", machineIds(), []);
  for (var i = 0; i < found.length; i++) {
    files.CopyFolder(files.GetParentFolderName(found[i]), "I:\\drivers\\" + i);
    run('drvload.exe "' + found[i] + '"');
  }
  say(found.length + " drivers fit this machine");
}

function image() {
  if (order.share) {
    var word = order.share.user
      ? ' /user:"' + order.share.user + '" "' + order.share.password + '"' : "";
    if (run('net.exe use Z: "' + order.share.path + '"' + word) !== 0) {
      stop("the share " + order.share.path + " could not be reached");
    }
    return firstOf(["Z:\\sources\\install.wim", "Z:\\sources\\install.esd",
      "Z:\\sources\\install.swm"]);
  }
  if (!hasCurl()) {
    stop("this Windows PE has no curl.exe: add one to the medium, or name a share");
  }
  tell("installing", "fetching the image", "fetch", "");
  for (var i = 0; i < order.images.length; i++) {
    var path = "I:\\" + order.images[i].replace(/^.*\//, "");
    if (fetch(order.images[i], path)) { return path; }
  }
  stop("the image of Windows could not be fetched");
}
function firstOf(paths) {
  for (var i = 0; i < paths.length; i++) {
    if (files.FileExists(paths[i])) { return paths[i]; }
  }
  stop("none of these is there: " + paths.join(", "));
}
function setUp(disk, partition) {
  var from = image();
  var answers = read(HERE + "autounattend.xml");
  answers = answers.replace(/>ironwake-disk</g, ">" + disk.number + "<");
  answers = answers.replace(/>ironwake-partition</g, ">" + partition + "<");
  if (!DRIVERS) { answers = answers.replace(NO_DRIVERS, ""); }
  write(HERE + "unattend.xml", answers);
  var setup = firstOf([HERE + "setup.exe", HERE + "sources\\setup.exe", "Z:\\setup.exe"]);
  tell("installing", "set-up", "setup", "");
  var code = shell.Run('"' + setup + '" /unattend:' + HERE + "unattend.xml /installfrom:" + from +
    " /noreboot", 1, true);
  if (code !== 0) {
    var log = HERE + "Windows\\Panther\\setuperr.log";
    var last = files.FileExists(log) ? bare(read(log)).slice(-250) : "";
    stop("Windows' set-up ended with code " + code + ": " + last);
  }
  tell("installing", "restarting into Windows", "restart", "");
}
function answersHere() {
  for (var i = 0; i < 60; i++) {
    // Both before the first report: that is the end of what may be fetched again.
    if (ask("GET", ANSWERS + "order.json", HERE + "order.json") &&
        ask("GET", ANSWERS + "autounattend.xml", HERE + "autounattend.xml")) {
      order = eval("(" + read(HERE + "order.json") + ")");
      return true;
    }
    WScript.Sleep(5000);
  }
  return false;
}
function main() {
  if (!answersHere()) {
    say("no answers from " + ANSWERS.replace(/deployments.*/, ""));
    return;
  }
  try {
    tell("installing", "installer", "early", "");
    if (order.pre) {
      write(HERE + "pre.cmd", order.pre.replace(/\n/g, "\r\n"));
      if (run(HERE + "pre.cmd") !== 0) { stop("the script pre failed"); }
    }
    var disk = choose(disksHere(), order.disk);
    guard(disk, order.erase);
    tell("installing", "partitioning", "disk", named(disk));
    var partition = divide(disk, isUefi(), order.staging || (DRIVERS ? 4096 : 0));
    if (DRIVERS) { fetchDrivers(); }
    setUp(disk, partition);
    run("wpeutil.exe reboot");
    WScript.Sleep(600000);
  } catch (error) {
    say(error.message);
    tell("failed", "", error.step || "pe", error.message);
  }
}
main();
"""
