# Operations of the simulated DCSS itself, as a beamline writes them: `proc NAME_start` is the operation NAME.
#
# collectSaxs TEMPERATURE IMAGES ?SECONDS? ?DEGREES?
#   brings the sample to TEMPERATURE (K) and waits until it is steady, turns the loop by DEGREES before the camera and puts
#   its tip into the middle, takes IMAGES with the shutter open (SECONDS: the longest that may last), and goes back to the
#   set point of before. Updates tell each step. The result is keys and values. Whatever ends it early: shutters are
#   closed, heaters are off if they were off before; after an abort the temperature is held where it is.

# The camera: mm of a picture of 704 x 480 pixels of 2 um; what is nearer to the middle than this part of it is centred.
set WIDTH 1.408
set HEIGHT 0.96
set CENTRED 0.02
# The picture shows where a motor stands after this time, ms.
set VIDEO_DELAY 500

proc collectSaxs_start { temperature images {seconds 60} {degrees 180} } {
    set before [get_string_contents cryo_status]
    if {[catch { collect $temperature $images $seconds $degrees } result]} {
        send_operation_update leaving $result
        leave_safe [expr {$result ne "aborted" && $result ne "stopped"}] $before
        return -code error $result
    }
    restore 1 $before
    return $result
}

proc collect { temperature images seconds degrees } {
    send_operation_update temperature $temperature
    operate cryo_on
    move cryo_target to $temperature K
    wait_for_devices cryo_target
    set reached [get_motor_position cryo_target]
    set centre [centre_loop $degrees]
    set figures [take_images $images $seconds]
    return [concat TEMPERATURE $reached $figures $centre]
}

# The loop is looked at while it turns, its tip put into the middle from two sides, its face turned to the camera.
proc centre_loop { degrees } {
    go gonio_phi 0
    send_operation_update rotation $degrees
    set handle [start_waitable_operation collectLoopImages]
    wait_for_operation $handle
    start_oscillation gonio_phi video_trigger $degrees [expr {$degrees / 60.0}]
    wait_for_devices gonio_phi
    start_operation stopCollectLoopImages
    set rows 0
    while {1} {
        set news [wait_for_operation $handle]
        if {[lindex $news 0] ne "update"} { break }
        if {[lindex $news 3] eq "normal"} { incr rows }
    }
    send_operation_update rows $rows
    if {$rows == 0} { error no_loop }
    set face [lindex [operate getLoopFace] 1]
    foreach {angle across} {90 sample_x 0 sample_y} {
        go gonio_phi $angle
        centre_from_here $across
    }
    go gonio_phi $face
    set tip [look]
    send_operation_update tip [lindex $tip 0] [lindex $tip 1]
    if {![is_centred $tip]} { error "not_centred tip at $tip" }
    return [list ROWS $rows FACE $face TIP_X [lindex $tip 0] TIP_Y [lindex $tip 1]]
}

proc centre_from_here { across } {
    global WIDTH HEIGHT
    for {set tries 0} {$tries < 3} {incr tries} {
        set tip [look]
        if {[is_centred $tip]} { return }
        move $across by [expr {(0.5 - [lindex $tip 1]) * $HEIGHT}]
        move sample_z by [expr {(0.5 - [lindex $tip 0]) * $WIDTH}]
        wait_for_devices $across sample_z
    }
}

# Where the tip is now, x and y, as parts of the picture.
proc look {} {
    global VIDEO_DELAY
    after $VIDEO_DELAY
    return [lrange [operate getLoopTip 0] 1 2]
}

proc is_centred { tip } {
    global CENTRED
    return [expr {abs([lindex $tip 0] - 0.5) <= $CENTRED && abs([lindex $tip 1] - 0.5) <= $CENTRED}]
}

# The series begins before the shutter opens, so that no image is missed.
proc take_images { images seconds } {
    set handle [start_waitable_operation saxsSeries $images $seconds]
    set news [wait_for_operation $handle]
    open_shutter shutter
    while {[lindex $news 0] eq "update"} {
        send_operation_update images [lindex $news 2] [lindex $news 3]
        set news [wait_for_operation $handle]
    }
    close_shutter shutter
    wait_for_devices shutter
    set result {}
    foreach name {IMAGES Q_PEAK I0 CORRELATION_LENGTH} value [lrange $news 1 4] { lappend result $name $value }
    return $result
}

# All that a collection may have left running or open.
proc leave_safe { goes_back before } {
    foreach shutter {shutter video_trigger} { close_shutter $shutter }
    foreach operation {saxsSeries collectLoopImages} { stop_operation $operation }
    foreach motor {gonio_phi sample_x sample_y sample_z cryo_target} {
        abort_motor_move $motor
        catch { wait_for_devices $motor }
    }
    wait_for_devices shutter video_trigger
    restore $goes_back $before
}

# The set point of before, where it was not held by an abort; heaters that were off go off.
proc restore { goes_back before } {
    if {$goes_back} { operate cryo_setpoint [word_of $before TARGET] }
    if {![word_of $before CONTROL]} {
        operate cryo_off
        # The string follows within half a second; the next collection must not find the old one.
        wait_for_string_contents cryo_status 0 5
    }
}

proc operate { args } {
    return [wait_for_operation_to_finish [eval [concat start_waitable_operation $args]]]
}

proc go { motor position } {
    move $motor to $position
    wait_for_devices $motor
}

proc word_of { text key } {
    foreach {name value} $text {
        if {$name eq $key} { return $value }
    }
    error "not_known $key"
}
