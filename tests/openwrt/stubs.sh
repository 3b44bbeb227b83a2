# What OpenWrt's rc.common, functions.sh and procd.sh give an init script, as stubs that record: sh stubs.sh SCRIPT ACTION.
# $RECORD is the record, $UCI the folder of the configuration files.

record() { printf '%s\n' "$*" >> "$RECORD"; }
logger() { record "logger $*"; }
uci() { record "uci $*"; }
ubus() { record "ubus $*"; }
chown() { record "chown $*"; }
chgrp() { record "chgrp $*"; }
chmod() { record "chmod $*"; }

for call in open_instance close_instance set_param append_param add_reload_trigger add_raw_trigger close_validate; do
	eval "procd_$call() { record \"procd_$call \$*\"; }"
done
# A list of rules; the one that is begun last is the one that counts.
procd_open_validate() { record procd_open_validate; VALIDATION=1; }
procd_add_validation() { procd_open_validate; "$@"; procd_close_validate; }

# A UCI file is nearly a shell script.
config_load() {
	SECTIONS= SECTION= COUNT=0
	config() {
		COUNT=$((COUNT + 1))
		SECTION="${2:-cfg$COUNT}"
		SECTIONS="$SECTIONS $SECTION"
		eval "TYPE_$SECTION=\$1"
	}
	option() { eval "OPTION_${SECTION}_$1=\$2"; }
	list() { eval "OPTION_${SECTION}_$1=\"\${OPTION_${SECTION}_$1:+\$OPTION_${SECTION}_$1 }\$2\""; }
	# What cannot be read has no sections, as with uci.
	ash -n "$UCI/$1" 2> /dev/null || return 1
	. "$UCI/$1"
}
config_get() { eval "$1=\"\${OPTION_$2_$3:-$4}\""; }
config_get_bool() { config_get "$@"; }
config_foreach() {
	local function="$1" type="$2" section
	shift 2
	for section in $SECTIONS; do
		eval "[ \"\$TYPE_$section\" = \"$type\" ]" || continue
		"$function" "$section" "$@"
	done
}

# PACKAGE TYPE SECTION FUNCTION RULE..: sets the options as validate_data does, then calls with the result.
uci_load_validate() {
	local section="$3" function="$4" result=0 rule name kind default value
	[ -z "$VALIDATION" ] || { shift 4; record "validation $*"; return 0; }
	shift 4
	for rule in "$@"; do
		name="${rule%%:*}"
		local "$name"
	done
	for rule in "$@"; do
		name="${rule%%:*}" kind="${rule#*:}" default=
		case "$kind" in *:*) default="${kind#*:}" kind="${kind%%:*}" ;; esac
		config_get value "$section" "$name" "$default"
		case "$kind=$value" in
			bool=1 | bool=0 | string=*) eval "$name=\$value" ;;
			bool=on | bool=true | bool=yes | bool=enabled) eval "$name=1" ;;
			bool=off | bool=false | bool=no | bool=disabled) eval "$name=0" ;;
			*) result=1 ;;
		esac
	done
	[ -n "$function" ] || return "$result"
	"$function" "$section" "$result"
}

start() { start_service "$@"; }
stop() { record stop; }

. "$1"
ended=$?
case "$2" in
	start) start ;;
	reload) if type reload_service > /dev/null 2>&1; then reload_service; else start; fi ;;
	triggers) service_triggers ;;
	none) exit "$ended" ;;
esac
