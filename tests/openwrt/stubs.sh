# What OpenWrt's rc.common, functions.sh, uci.sh and procd.sh give an init script, as stubs that record:
#
#	sh stubs.sh SCRIPT ACTION
#
# $RECORD is the record, $UCI the folder of the configuration files, $RUNNING what procd has (its answer to `service list`),
# $ENABLED the names in /etc/rc.d. Beside each stub stands what the real part does, which the stub copies: no stricter, no kinder.

record() { printf '%s\n' "$*" >> "$RECORD"; }
logger() { record "logger $*"; }
chown() { record "chown $*"; }
chgrp() { record "chgrp $*"; }
chmod() { record "chmod $*"; }

# ubus call service list: procd's services with their instances; an empty object where it has none of that name.
ubus() {
	case "$*" in
		'call service list '*) cat "$RUNNING" ;;
		*) record "ubus $*" ;;
	esac
}

for call in open_instance close_instance set_param append_param add_reload_trigger add_raw_trigger close_validate add_jail add_jail_mount add_jail_mount_rw; do
	eval "procd_$call() { record \"procd_$call \$*\"; }"
done
# A list of rules; the one that is begun last is the one that counts.
procd_open_validate() { record procd_open_validate; VALIDATION=1; }
procd_add_validation() { procd_open_validate; "$@"; procd_close_validate; }

# functions.sh: callbacks of the exported text.
package() { return 0; }
config() {
	COUNT=$((COUNT + 1))
	SECTION="${2:-cfg$COUNT}"
	SECTIONS="$SECTIONS $SECTION"
	eval "TYPE_$SECTION=\$1"
}
option() { eval "OPTION_${SECTION}_$1=\$2"; }
list() { eval "OPTION_${SECTION}_$1=\"\${OPTION_${SECTION}_$1:+\$OPTION_${SECTION}_$1 }\$2\""; }

# uci.sh: the text of `uci -S -n export`, evaluated; -S passes over what is wrong, so that a broken file is loaded as far as
# it goes, with code 0. What was loaded before is forgotten. Code 1 where there is no such file.
config_load() {
	local data ret
	SECTIONS= SECTION= COUNT=0
	data="$(uci -S -n export "$1" 2> /dev/null)"
	ret=$?
	[ "$ret" != 0 ] || [ -z "$data" ] || eval "$data"
	return "$ret"
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

# PACKAGE TYPE SECTION FUNCTION RULE..: sets the options as validate_data does (a wrong one makes the code, and stays empty),
# then calls with the result. Between procd_open_validate and procd_close_validate validate_data's rules are only listed.
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

# rc.common, before the script is read: a restart is a stop, whatever comes of the start; a script may have a better one.
restart() {
	trap '' TERM
	stop "$@"
	start "$@"
}
boot() { start "$@"; }
enabled() { case " $ENABLED " in *" wsbridge "*) return 0 ;; *) return 1 ;; esac; }
stop_service() { :; }
service_triggers() { :; }

. "$1"
ended=$?

# rc.common, after it: what is sent to procd between open and close takes the place of all that there was (`set`); the
# triggers are part of it. The code of `start` is that of service_started, where there is one, else 0.
start() {
	record procd_open_service
	start_service "$@"
	service_triggers > /dev/null
	record "procd_close_service set"
	if type service_started > /dev/null 2>&1; then service_started; fi
}
# Everything of the service is taken from procd, which ends it.
stop() {
	stop_service "$@"
	record procd_kill
}
reload() { if type reload_service > /dev/null 2>&1; then reload_service "$@"; else start; fi; }
running() { ubus call service list '{}' | jsonfilter -e "@['wsbridge'].instances[*].running" | grep -q true; }

case "$2" in
	triggers) service_triggers ;;
	none) exit "$ended" ;;
	*) "$2" ;;
esac
